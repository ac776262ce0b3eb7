"""From image messages to frames, in a thread of its own, with an account of every one of them."""

from __future__ import annotations

import threading
from collections import Counter, deque
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any
from weakref import WeakValueDictionary

from sensor_msgs.msg import CompressedImage

from step_ros.frames import IMAGE_ERROR_CAUSES, Frame, ImageError, decode_compressed_image, decode_image
from step_ros.frames.image_error import UNREADABLE
from step_ros.ros.messages import nanoseconds_of

_FATES = ("encoded", "skipped_by_sampling", "pending", "waiting")
_DROPS = {
    "dropped.overload": "dropped_overload",
    "dropped.late_frame": "late_frame",
    "dropped.duplicate_stamp": "duplicate_stamp",
    "dropped.inference_error": "inference_error",
}


@dataclass(frozen=True, eq=False)
class CameraFrame(Frame):
    """A frame that came as a message."""

    frame_id: str
    """The coordinate frame of the camera."""


def open_message(message: Any, receipt_ns: int, max_pixels: int) -> CameraFrame:
    """Decode a sensor_msgs Image or CompressedImage.

    Args:
        message: what came.
        receipt_ns: the frame's stamp if the message has none.
        max_pixels: larger images are refused.

    Raises:
        ImageError: it cannot be decoded.
    """
    decode = decode_compressed_image if isinstance(message, CompressedImage) else decode_image
    rgb = decode(message, max_pixels=max_pixels)
    return CameraFrame(nanoseconds_of(message.header.stamp) or receipt_ns, rgb, message.header.frame_id)


class FrameIntake:
    """Decodes image messages and hands the frames on; the newest win.

    The executor only hands messages over, so it is free for the next one at once and none is lost in the
    middleware's queue. When messages come faster than they can be decoded, the oldest one that waits is
    dropped and counted. A frame can be found by its stamp for as long as anybody holds it.

    Args:
        deliver: called with each frame, in the thread; must not wait.
        on_error: called with the cause and the message of each image that cannot be decoded, in the thread.
        max_pixels: called for each image; larger ones are refused.
        queue_size: how many messages may wait, at least 1.
    """

    def __init__(
        self,
        deliver: Callable[[CameraFrame], None],
        on_error: Callable[[str, str], None],
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
        self._counts: Counter[str] = Counter()
        self._alive: WeakValueDictionary[int, CameraFrame] = WeakValueDictionary()
        self._thread = threading.Thread(target=self._run, name="intake", daemon=True)
        self._thread.start()

    def submit(self, message: Any, receipt_ns: int) -> None:
        """Take a message that came at `receipt_ns`; never waits."""
        with self._changed:
            if self._closed:
                return
            self._counts["received"] += 1
            if nanoseconds_of(message.header.stamp) == 0:
                self._counts["zero_stamp"] += 1
            self._waiting.append((message, receipt_ns))
            if len(self._waiting) > self._queue_size:
                self._waiting.popleft()
                self._counts["decode_overload"] += 1
            self._changed.notify()

    def skip(self) -> None:
        """Count a message that is not to be looked at, because the node is not active."""
        with self._changed:
            if not self._closed:
                self._counts["received"] += 1
                self._counts["skipped_inactive"] += 1

    def find(self, stamp_ns: int) -> CameraFrame | None:
        """The frame of that stamp, if it is still held by anybody."""
        with self._changed:
            return self._alive.get(stamp_ns)

    @property
    def zero_stamps(self) -> int:
        """Messages that nobody had stamped; their frames have the time of receipt."""
        with self._changed:
            return self._counts["zero_stamp"]

    def account(self, worker_counts: Callable[[], Mapping[str, int]]) -> dict[str, int]:
        """What became of every message: ``received`` is the sum of all others.

        Args:
            worker_counts: gives `PerceptionWorker.counts`; asked at a moment when no frame is between here
                and there.
        """
        with self._changed:
            worker = worker_counts()
            account = {
                "received": self._counts["received"],
                **{fate: worker[fate] for fate in _FATES},
                "skipped_inactive": self._counts["skipped_inactive"],
                "dropped.decode_overload": self._counts["decode_overload"],
                **{name: worker[count] for name, count in _DROPS.items()},
                **{f"dropped.{cause}": self._counts[cause] for cause in (*IMAGE_ERROR_CAUSES, UNREADABLE)},
            }
            account["waiting"] += len(self._waiting) + self._decoding
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
            frame, cause, error = self._open(message, receipt_ns)
            with self._changed:
                self._decoding = 0
                if frame is None:
                    self._counts[cause] += 1
                else:
                    self._alive.setdefault(frame.stamp_ns, frame)
                    # With the lock held, so that no account misses the frame or sees it twice.
                    self._deliver(frame)
            if frame is None:
                self._on_error(cause, error)

    def _open(self, message: Any, receipt_ns: int) -> tuple[CameraFrame | None, str, str]:
        """The frame, or the cause and the message of what is wrong; whatever comes, the thread goes on."""
        try:
            return open_message(message, receipt_ns, self._max_pixels()), "", ""
        except ImageError as error:
            return None, error.cause, str(error)
        except Exception as error:
            return None, UNREADABLE, f"{type(error).__name__}: {error}"
