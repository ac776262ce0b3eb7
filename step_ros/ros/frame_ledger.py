"""From image messages to frames, with an account of every one of them."""

from __future__ import annotations

import threading
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any
from weakref import WeakValueDictionary

from sensor_msgs.msg import CompressedImage

from step_ros.frames import IMAGE_ERROR_CAUSES, Frame, ImageError, decode_compressed_image, decode_image
from step_ros.ros.messages import nanoseconds_of

UNREADABLE = "unreadable"
"""The cause of an image that fails in a way nobody thought of."""

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


class FrameLedger:
    """Decodes image messages and counts what becomes of them.

    A frame can be found by its stamp for as long as the pipeline holds it, and no longer.
    """

    def __init__(self) -> None:
        self.received = 0
        """Messages so far."""
        self.zero_stamps = 0
        """Messages that nobody had stamped; their frames have the time of receipt."""
        self._bad: Counter[str] = Counter(dict.fromkeys((*IMAGE_ERROR_CAUSES, UNREADABLE), 0))
        self._alive: WeakValueDictionary[int, CameraFrame] = WeakValueDictionary()
        self._lock = threading.Lock()

    def open(self, message: Any, receipt_ns: int, max_pixels: int) -> CameraFrame:
        """Decode a sensor_msgs Image or CompressedImage.

        Args:
            message: what came.
            receipt_ns: the time of receipt, for messages without a stamp.
            max_pixels: larger images are refused.

        Raises:
            ImageError: it cannot be decoded; the cause has been counted.
            Exception: likewise, for a reason nobody thought of; counted as `UNREADABLE`.
        """
        self.received += 1
        decode = decode_compressed_image if isinstance(message, CompressedImage) else decode_image
        try:
            rgb = decode(message, max_pixels=max_pixels)
        except ImageError as error:
            self._bad[error.cause] += 1
            raise
        except Exception:
            self._bad[UNREADABLE] += 1
            raise
        stamp_ns = nanoseconds_of(message.header.stamp)
        if stamp_ns == 0:
            self.zero_stamps += 1
            stamp_ns = receipt_ns
        frame = CameraFrame(stamp_ns, rgb, message.header.frame_id)
        with self._lock:
            self._alive.setdefault(stamp_ns, frame)
        return frame

    def find(self, stamp_ns: int) -> CameraFrame | None:
        """The frame of that stamp, if it is still held by anybody."""
        with self._lock:
            return self._alive.get(stamp_ns)

    def account(self, worker: Mapping[str, int]) -> dict[str, int]:
        """What became of every message: ``received`` is the sum of all others.

        Args:
            worker: `PerceptionWorker.counts`, taken when no message was being decoded.
        """
        return {
            "received": self.received,
            **{fate: worker[fate] for fate in _FATES},
            **{name: worker[count] for name, count in _DROPS.items()},
            **{f"dropped.{cause}": count for cause, count in self._bad.items()},
        }
