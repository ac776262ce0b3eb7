"""The messages of recordings, as rosbags has them: their types, how they are made, when they were stamped."""

from __future__ import annotations

import functools
from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
from rosbags.typesys import Stores, get_types_from_msg, get_typestore
from rosbags.typesys.store import Typestore

IMAGE = "sensor_msgs/msg/Image"
COMPRESSED_IMAGE = "sensor_msgs/msg/CompressedImage"
CLASSIFICATION = "vision_msgs/msg/Classification"
LABEL_INFO = "vision_msgs/msg/LabelInfo"
STRING = "std_msgs/msg/String"

_SECOND = 1_000_000_000

# vision_msgs 4.1.1, of which rosbags' store has nothing. The comments of the definitions are no part of the
# types' hashes.
_VISION_MSGS = {
    "vision_msgs/msg/ObjectHypothesis": "string class_id\nfloat64 score\n",
    CLASSIFICATION: "std_msgs/Header header\nObjectHypothesis[] results\n",
    "vision_msgs/msg/VisionClass": "uint16 class_id\nstring class_name\n",
    LABEL_INFO: "std_msgs/Header header\nvision_msgs/VisionClass[] class_map\nfloat32 threshold\n",
    "vision_msgs/msg/VisionInfo": (
        "std_msgs/Header header\nstring method\nstring database_location\nint32 database_version\n"
    ),
}


@functools.lru_cache(maxsize=1)
def typestore() -> Typestore:
    """The message types of ROS 2 Jazzy and those of vision_msgs that speak of labels, for rosbags.

    Example:
        >>> typestore().types["vision_msgs/msg/ObjectHypothesis"]("pick_up_cup", 0.9).class_id
        'pick_up_cup'
    """
    store = get_typestore(Stores.ROS2_JAZZY)
    for name, definition in _VISION_MSGS.items():
        store.register(get_types_from_msg(definition, name))
    return store


def stamp_ns_of(message: Any, log_time_ns: int) -> int:
    """The stamp in a message's header, in nanoseconds; when it was recorded, if nobody stamped it."""
    stamp = message.header.stamp
    return int(stamp.sec * _SECOND + stamp.nanosec) or log_time_ns


def header(stamp_ns: int, frame_id: str = "") -> Any:
    """A std_msgs/Header."""
    types = typestore().types
    stamp = types["builtin_interfaces/msg/Time"](stamp_ns // _SECOND, stamp_ns % _SECOND)
    return types["std_msgs/msg/Header"](stamp, frame_id)


def image(rgb: npt.NDArray[np.uint8], stamp_ns: int, frame_id: str = "") -> Any:
    """A raw image, of rgb uint8 (H, W, 3)."""
    rows, columns, channels = rgb.shape
    return typestore().types[IMAGE](
        header(stamp_ns, frame_id), rows, columns, "rgb8", 0, channels * columns, rgb.ravel()
    )


def compressed_image(data: npt.NDArray[np.uint8], kind: str, stamp_ns: int, frame_id: str = "") -> Any:
    """An image as the bytes of a file, of whatever shape; `kind` is what its field `format` says of them."""
    return typestore().types[COMPRESSED_IMAGE](header(stamp_ns, frame_id), kind, data.ravel())


def classification(results: Sequence[tuple[str, float]], stamp_ns: int, frame_id: str = "") -> Any:
    """Labels with their probabilities; no results mean that no label holds."""
    types = typestore().types
    hypotheses = [types["vision_msgs/msg/ObjectHypothesis"](label, score) for label, score in results]
    return types[CLASSIFICATION](header(stamp_ns, frame_id), hypotheses)


def label_info(labels: Sequence[str], threshold: float, stamp_ns: int) -> Any:
    """All labels of a task in the order of the head's outputs, and the least probability to be trusted."""
    types = typestore().types
    classes = [types["vision_msgs/msg/VisionClass"](index, label) for index, label in enumerate(labels)]
    return types[LABEL_INFO](header(stamp_ns), classes, threshold)


def string(text: str) -> Any:
    """A std_msgs/String."""
    return typestore().types[STRING](text)
