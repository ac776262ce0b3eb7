"""The frames of a recorded bag."""

from __future__ import annotations

import functools
import logging
import os
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from rosbags.typesys import Stores, get_types_from_msg, get_typestore
from rosbags.typesys.store import Typestore

from step_ros.frames.bag_storage import BagError, Storage, Topic, open_bag
from step_ros.frames.frame import Frame
from step_ros.frames.image_error import ImageError
from step_ros.frames.image_message import decode_compressed_image, decode_image

__all__ = ["BagError", "image_topics", "read_bag_frames", "typestore"]

_log = logging.getLogger(__name__)

_DECODERS: dict[str, Callable[[Any], Any]] = {
    "sensor_msgs/msg/Image": decode_image,
    "sensor_msgs/msg/CompressedImage": decode_compressed_image,
}

# vision_msgs 4.1.1, of which rosbags' store has nothing. The comments of the definitions are no part of the
# types' hashes.
_VISION_MSGS = {
    "vision_msgs/msg/ObjectHypothesis": "string class_id\nfloat64 score\n",
    "vision_msgs/msg/Classification": "std_msgs/Header header\nObjectHypothesis[] results\n",
    "vision_msgs/msg/VisionClass": "uint16 class_id\nstring class_name\n",
    "vision_msgs/msg/LabelInfo": (
        "std_msgs/Header header\nvision_msgs/VisionClass[] class_map\nfloat32 threshold\n"
    ),
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


def image_topics(path: str | os.PathLike[str]) -> dict[str, str]:
    """The topics of a bag that carry images.

    Args:
        path: The bag's folder, or one of its files (.mcap, .db3).

    Returns:
        The topics' names and, of each, the type: sensor_msgs/msg/Image or sensor_msgs/msg/CompressedImage.

    Raises:
        BagError: It is no ROS 2 bag, or nothing of it can be read.
    """
    bag = open_bag(Path(path))
    try:
        return _image_topics(bag)
    finally:
        bag.close()


def read_bag_frames(path: str | os.PathLike[str], topic: str | None = None) -> Iterator[Frame]:
    """Read the frames of one image topic, mcap or sqlite3, raw or compressed, Image or CompressedImage.

    The stamps are the headers'; a message whose header was never stamped gets the time at which it was
    recorded. A bag that was cut off is read to its last good message, and an image that cannot be decoded
    is left out: the log warns of both.

    Args:
        path: The bag's folder, or one of its files (.mcap, .db3).
        topic: The image topic; may be left out where the bag has only one.

    Returns:
        The frames in the order of recording, decoded as they are asked for.

    Raises:
        BagError: It is no ROS 2 bag, it has no such image topic, or several and none was chosen; raised by
            the call itself, and the message says what there is. A topic of which no image can be decoded
            raises it at the end.
    """
    path = Path(path)
    bag = open_bag(path)
    try:
        chosen = _choose(bag.topics, _image_topics(bag), topic, path)
    except BagError:
        bag.close()
        raise
    return _frames(bag, chosen, path)


def _frames(bag: Storage, topic: str, path: Path) -> Iterator[Frame]:
    msgtype = bag.topics[topic].msgtype
    decode = _DECODERS[msgtype]
    store = typestore()
    good = bad = 0
    first_error = ""
    try:
        for log_time_ns, data in bag.messages(topic):
            try:
                message: Any = store.deserialize_cdr(data, msgtype)
                rgb = decode(message)
            except ImageError as error:
                bad, reason = bad + 1, f"{error.cause}: {error}"
            except Exception as error:  # rosbags has no one error for bytes that are no such message
                bad, reason = bad + 1, f"not a {msgtype}: {type(error).__name__}: {error}"
            else:
                good += 1
                stamp = message.header.stamp
                yield Frame(stamp.sec * 1_000_000_000 + stamp.nanosec or log_time_ns, rgb)
                continue
            if bad == 1:
                first_error = reason
                _log.warning("%s: an image on %s is left out: %s", path, topic, reason)
    finally:
        bag.close()
    if bad and not good:
        raise BagError(
            f"none of the {bad} images on {topic} of {path} can be decoded; the first: {first_error}"
        )
    if bad:
        _log.warning("%s: %d of %d images on %s were left out", path, bad, good + bad, topic)


def _image_topics(bag: Storage) -> dict[str, str]:
    return {name: topic.msgtype for name, topic in sorted(bag.topics.items()) if topic.msgtype in _DECODERS}


def _choose(topics: dict[str, Topic], images: dict[str, str], wanted: str | None, path: Path) -> str:
    """The topic to read, or a BagError that says which there are."""
    contents = ", ".join(
        f"{name} ({topic.msgtype}, {topic.count} message{'s' * (topic.count != 1)})"
        for name, topic in sorted(topics.items())
    )
    if not images:
        raise BagError(
            f"{path} has no topic with images (sensor_msgs/msg/Image or CompressedImage); "
            f"it has {contents or 'no topic at all'}"
        )
    if wanted is None and len(images) > 1:
        raise BagError(f"{path} has {len(images)} image topics; choose one of {', '.join(images)}")
    if wanted is not None and wanted not in images:
        what = f"{topics[wanted].msgtype} on {wanted}" if wanted in topics else f"no topic {wanted}"
        raise BagError(
            f"{path} has {what}; choose one of its image topics: {', '.join(images)}. It has {contents}"
        )
    return wanted if wanted is not None else next(iter(images))
