"""The frames of a recorded bag."""

from __future__ import annotations

import logging
import os
from collections.abc import Callable, Iterable, Iterator
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from step_ros.frames.bags.messages import COMPRESSED_IMAGE, IMAGE, stamp_ns_of, typestore
from step_ros.frames.bags.storage import BagError, Storage, Topic, open_bag
from step_ros.frames.clip import ClipSpec
from step_ros.frames.frame import Frame
from step_ros.frames.image_error import UNREADABLE, ImageError
from step_ros.frames.image_message import MAX_PIXELS, decode_compressed_image, decode_image

__all__ = ["BagError", "RecordedFrame", "image_topics", "read_bag_frames"]

_log = logging.getLogger(__name__)


@dataclass(frozen=True, eq=False)
class RecordedFrame(Frame):
    """A frame of a bag."""

    frame_id: str
    """The coordinate frame of the camera."""
    log_time_ns: int
    """When the message was recorded, in nanoseconds."""


_DECODERS: dict[str, Callable[..., Any]] = {
    IMAGE: decode_image,
    COMPRESSED_IMAGE: decode_compressed_image,
}

_NOT_DECODED = np.zeros((1, 1, 3), np.uint8)


def image_topics(path: str | os.PathLike[str]) -> dict[str, str]:
    """The topics of a bag that carry images.

    Args:
        path: The bag's folder, or one of its files (.mcap, .db3).

    Returns:
        The topics' names and, of each, the type: sensor_msgs/msg/Image or sensor_msgs/msg/CompressedImage.

    Raises:
        BagError: It is no ROS 2 bag, or nothing of it can be read.
    """
    with closing(open_bag(Path(path))) as bag:
        return _image_topics(bag)


def read_bag_frames(
    path: str | os.PathLike[str],
    topic: str | None = None,
    *,
    max_pixels: int = MAX_PIXELS,
    grid: ClipSpec | None = None,
    on_bad_image: Callable[[str, str], None] | None = None,
) -> Iterator[RecordedFrame]:
    """Read the frames of one image topic, mcap or sqlite3, raw or compressed, Image or CompressedImage.

    The stamps are the headers'; a message whose header was never stamped gets the time at which it was
    recorded. A bag that was cut off is read to its last good message, and an image that cannot be decoded
    is left out: the log warns of both.

    Args:
        path: The bag's folder, or one of its files (.mcap, .db3).
        topic: The image topic; may be left out where the bag has only one.
        max_pixels: Larger images cannot be decoded.
        grid: Saves the decoding of what no window on this grid shows: a frame that another of its cell
            follows is one black pixel, or, if it is damaged, not noticed to be.
        on_bad_image: Called with the cause and the message of each image that is left out.

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
    reader = _FrameReader(bag.topics[chosen].msgtype, max_pixels, grid, on_bad_image)
    return _frames(bag, chosen, path, reader)


class _FrameReader:
    """Turns messages into frames, and keeps count of those that are none."""

    def __init__(
        self,
        msgtype: str,
        max_pixels: int,
        grid: ClipSpec | None,
        on_bad_image: Callable[[str, str], None] | None,
    ) -> None:
        self._msgtype = msgtype
        self._max_pixels = max_pixels
        self._grid = grid
        self._on_bad_image = on_bad_image
        self.good = self.bad = 0
        self.first_error = ""

    def frames(self, messages: Iterable[tuple[int, bytes]]) -> Iterator[RecordedFrame]:
        """The frames of messages with their log times."""
        cell: list[
            tuple[int, Any, int]
        ] = []  # stamp, message, log time: of which a window shows the last at most
        for log_time_ns, data in messages:
            try:
                message: Any = typestore().deserialize_cdr(data, self._msgtype)
            except Exception as error:  # rosbags has no one error for bytes that are no such message
                self._note(UNREADABLE, f"not a {self._msgtype}: {type(error).__name__}: {error}")
                continue
            stamp_ns = stamp_ns_of(message, log_time_ns)
            if cell and not self._replaces(stamp_ns, cell[-1][0]):
                yield from self._decode(cell)
                cell = []
            cell.append((stamp_ns, message, log_time_ns))
        yield from self._decode(cell)

    def _replaces(self, stamp_ns: int, before_ns: int) -> bool:
        """Whether no window shows a frame once there is this later one."""
        grid = self._grid
        return (
            grid is not None
            and stamp_ns > before_ns
            and grid.grid_index(stamp_ns) == grid.grid_index(before_ns)
        )

    def _decode(self, cell: list[tuple[int, Any, int]]) -> Iterator[RecordedFrame]:
        """The newest that can be decoded; those before it come first, as they are, not decoded."""
        while cell:
            stamp_ns, message, log_time_ns = cell.pop()
            try:
                rgb = _DECODERS[self._msgtype](message, max_pixels=self._max_pixels)
            except ImageError as error:
                self._note(error.cause, f"{error.cause}: {error}")
                continue
            self.good += len(cell) + 1
            for earlier_ns, earlier, earlier_log_time_ns in cell:
                yield RecordedFrame(earlier_ns, _NOT_DECODED, earlier.header.frame_id, earlier_log_time_ns)
            yield RecordedFrame(stamp_ns, rgb, message.header.frame_id, log_time_ns)
            return

    def _note(self, cause: str, reason: str) -> None:
        self.bad += 1
        self.first_error = self.first_error or reason
        if self._on_bad_image is not None:
            self._on_bad_image(cause, reason)


def _frames(bag: Storage, topic: str, path: Path, reader: _FrameReader) -> Iterator[RecordedFrame]:
    try:
        yield from reader.frames(bag.messages(topic))
    finally:
        bag.close()
    if reader.bad and not reader.good:
        raise BagError(
            f"none of the {reader.bad} images on {topic} of {path} can be decoded; "
            f"the first: {reader.first_error}"
        )
    if reader.bad:
        total = reader.good + reader.bad
        _log.warning(
            "%s: %d of %d images on %s were left out; the first: %s",
            *(path, reader.bad, total, topic, reader.first_error),
        )


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
