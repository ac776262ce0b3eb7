"""From image messages to frames, in a thread of its own, with an account of every one of them."""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any
from weakref import WeakValueDictionary

from sensor_msgs.msg import CompressedImage

from step_ros.bounded_text import bounded
from step_ros.frames import Frame, ImageError, decode_compressed_image, decode_image
from step_ros.perception.ledger import ByDesign, Decoding, Ledger, Overload, UnderWay
from step_ros.ros.messages import nanoseconds_of


@dataclass(frozen=True, eq=False)
class CameraFrame(Frame):
    """A frame that came as a message."""

    frame_id: str
    """The coordinate frame of the camera; one of absurd length is cut."""
    receipt_ns: int
    """When the message was received, by the clock that images are stamped with."""


@dataclass(frozen=True)
class BadImage:
    """What is wrong with a message that became no frame."""

    cause: Decoding
    """The kind."""
    message: str
    """For people."""


def open_message(message: Any, receipt_ns: int, max_pixels: int) -> CameraFrame:
    """Decode a sensor_msgs Image or CompressedImage.

    Args:
        message: what came.
        receipt_ns: when it came; the frame's stamp if the message has none.
        max_pixels: larger images are refused.

    Raises:
        ImageError: it cannot be decoded.
    """
    decode = decode_compressed_image if isinstance(message, CompressedImage) else decode_image
    rgb = decode(message, max_pixels=max_pixels)
    stamp_ns = nanoseconds_of(message.header.stamp) or receipt_ns
    return CameraFrame(stamp_ns, rgb, bounded(message.header.frame_id), receipt_ns)


class FrameIntake:
    """Decodes image messages and hands the frames on; the newest win.

    The executor only hands messages over, so it is free for the next one at once and none is lost in the
    middleware's queue. When messages come faster than they can be decoded, the oldest one that waits is
    dropped and counted. A frame can be found by its stamp for as long as anybody holds it.

    Args:
        deliver: called with each frame, in the thread; must not wait.
        on_error: called with each image that cannot be decoded, in the thread.
        max_pixels: called for each image; larger ones are refused.
        queue_size: how many messages may wait, at least 1.
    """

    def __init__(
        self,
        deliver: Callable[[CameraFrame], None],
        on_error: Callable[[BadImage], None],
        *,
        max_pixels: Callable[[], int],
        queue_size: int,
    ) -> None:
        self._deliver = deliver
        self._on_error = on_error
        self._max_pixels = max_pixels
        self._queue_size = queue_size
        self._changed = threading.Condition()  # guards everything below
        self._waiting: deque[tuple[Any, int]] = deque()
        self._decoding = 0
        self._closed = False
        self._ledger = Ledger()
        self.zero_stamps = 0
        """Messages that nobody had stamped; their frames have the time of receipt."""
        self._alive: WeakValueDictionary[int, CameraFrame] = WeakValueDictionary()
        self._thread = threading.Thread(target=self._run, name="intake", daemon=True)
        self._thread.start()

    def submit(self, message: Any, receipt_ns: int) -> None:
        """Take a message that came at `receipt_ns`; never waits."""
        with self._changed:
            if self._closed:
                return
            self._ledger.receive()
            if nanoseconds_of(message.header.stamp) == 0:
                self.zero_stamps += 1
            self._waiting.append((message, receipt_ns))
            if len(self._waiting) > self._queue_size:
                self._waiting.popleft()
                self._ledger.settle(Overload.BEFORE_DECODING)
            self._changed.notify()

    def skip(self) -> None:
        """Count a message that is not to be looked at, because the node is not active."""
        with self._changed:
            if not self._closed:
                self._ledger.receive()
                self._ledger.settle(ByDesign.SKIPPED_INACTIVE)

    def find(self, stamp_ns: int) -> CameraFrame | None:
        """The frame of that stamp, if it is still held by anybody."""
        with self._changed:
            return self._alive.get(stamp_ns)

    def account(self, worker_account: Callable[[], Ledger]) -> Ledger:
        """What became of every message; the books balance.

        Args:
            worker_account: gives `PerceptionWorker.account`; asked at a moment when no frame is between here
                and there.
        """
        with self._changed:
            account = self._ledger.followed_by(worker_account())
            account.settle(UnderWay.WAITING, len(self._waiting) + self._decoding)
            return account

    def close(self, timeout: float | None = None) -> bool:
        """End the thread; messages that still wait stay so. May be called again.

        Returns:
            Whether the thread has ended; if not, it still decodes after `timeout` seconds.
        """
        with self._changed:
            self._closed = True
            self._changed.notify()
        self._thread.join(timeout)
        return not self._thread.is_alive()

    def _run(self) -> None:
        while True:
            with self._changed:
                self._changed.wait_for(lambda: self._waiting or self._closed)
                if self._closed:
                    return
                message, receipt_ns = self._waiting.popleft()
                self._decoding = 1
            opened = self._open(message, receipt_ns)
            with self._changed:
                self._decoding = 0
                if isinstance(opened, BadImage):
                    self._ledger.settle(opened.cause)
                else:
                    self._alive.setdefault(opened.stamp_ns, opened)
                    # With the lock held, so that no account misses the frame or sees it twice.
                    self._deliver(opened)
            if isinstance(opened, BadImage):
                self._on_error(opened)

    def _open(self, message: Any, receipt_ns: int) -> CameraFrame | BadImage:
        """Whatever comes, the thread goes on."""
        try:
            return open_message(message, receipt_ns, self._max_pixels())
        except ImageError as error:
            return BadImage(Decoding.of(error.cause), str(error))
        except Exception as error:
            return BadImage(Decoding.UNREADABLE, bounded(f"{type(error).__name__}: {error}"))
