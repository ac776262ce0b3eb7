"""From the core's types to ROS messages."""

from __future__ import annotations

import array
from collections.abc import Sequence

import cv2
from builtin_interfaces.msg import Time
from sensor_msgs.msg import CompressedImage
from std_msgs.msg import Header
from vision_msgs.msg import Classification, LabelInfo, ObjectHypothesis, VisionClass

from step_ros.frames.frame import Rgb

_SECOND = 1_000_000_000


def stamp_of(nanoseconds: int) -> Time:
    """A message's stamp."""
    return Time(sec=nanoseconds // _SECOND, nanosec=nanoseconds % _SECOND)


def nanoseconds_of(stamp: Time) -> int:
    """A message's stamp as an integer; 0 if nobody stamped it."""
    return stamp.sec * _SECOND + stamp.nanosec


def classification(results: Sequence[tuple[str, float]], stamp_ns: int, frame_id: str) -> Classification:
    """Labels with their probabilities, best first; no results mean that no label holds."""
    return Classification(
        header=Header(stamp=stamp_of(stamp_ns), frame_id=frame_id),
        results=[ObjectHypothesis(class_id=label, score=score) for label, score in results],
    )


def label_info(labels: Sequence[str], threshold: float, stamp_ns: int) -> LabelInfo:
    """All labels of a task in the order of the head's outputs, and the least probability to be trusted."""
    return LabelInfo(
        header=Header(stamp=stamp_of(stamp_ns)),
        class_map=[VisionClass(class_id=index, class_name=label) for index, label in enumerate(labels)],
        threshold=threshold,
    )


def jpeg_image(rgb: Rgb, quality: int, stamp_ns: int, frame_id: str) -> CompressedImage:
    """A picture, rgb uint8 (H, W, 3), as image_transport's compressed plugin sends it; quality 1 to 100."""
    bgr = cv2.cvtColor(rgb, cv2.COLOR_RGB2BGR)
    _, jpeg = cv2.imencode(".jpg", bgr, [cv2.IMWRITE_JPEG_QUALITY, quality])
    return CompressedImage(
        header=Header(stamp=stamp_of(stamp_ns), frame_id=frame_id),
        format="rgb8; jpeg compressed bgr8",
        data=array.array("B", jpeg.tobytes()),  # anything else is copied element by element
    )
