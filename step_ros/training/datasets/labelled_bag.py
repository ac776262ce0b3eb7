"""Reads a ROS 2 bag that holds images and labels: vision_msgs/Classification or std_msgs/String topics.

A label holds from its stamp until the next on its topic. The task is the topic's last part: `/truth/object`
is of the task `object`. A bag without such topics can be labelled by a csv whose `video` column names it.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

from step_ros.frames import BagError, Frame, read_bag_frames, read_video
from step_ros.frames.bags.messages import typestore
from step_ros.frames.bags.storage import open_bag
from step_ros.training.datasets.labelled_clips import (
    ClipsError,
    ClipSet,
    LabelledClip,
    TaskLabels,
    labels_found,
)
from step_ros.training.datasets.symmetric_pairs import propose_pairs

_LABEL_TYPES = ("vision_msgs/msg/Classification", "std_msgs/msg/String")
_BAG_SUFFIXES = (".mcap", ".db3")


def is_bag(path: Path) -> bool:
    """Whether a path is a bag: its folder, or one of its files."""
    return (path / "metadata.yaml").is_file() or path.suffix in _BAG_SUFFIXES


def read_frames(path: Path) -> Iterator[Frame]:
    """Frames of a video or of a bag's only image topic, with stamps that begin at 0.

    Raises:
        VideoError: the video cannot be read.
        BagError: the bag cannot be read.
    """
    first: int | None = None
    for frame in read_bag_frames(path) if is_bag(path) else read_video(path):
        first = frame.stamp_ns if first is None else first
        yield Frame(frame.stamp_ns - first, frame.rgb)


def read_labelled_bag(path: Path) -> ClipSet:
    """Every stretch of a bag during which no label changes.

    Raises:
        ClipsError: the bag cannot be read, or has no label topics.
    """
    try:
        changes = _label_changes(path)
        first = next(read_bag_frames(path)).stamp_ns
    except (BagError, StopIteration) as error:
        raise ClipsError(f"{path} cannot be read: {error}") from error
    if not changes:
        raise ClipsError(f"{path} has no label topics ({' or '.join(_LABEL_TYPES)})")
    clips = []
    labels: dict[str, str] = {}
    for number, (stamp, task, label) in enumerate(changes):
        labels = {**labels, task: label}
        start = max(stamp - first, 0) / 1e9
        end = None if number + 1 == len(changes) else max(changes[number + 1][0] - first, 0) / 1e9
        if end is None or end > start:
            where = f"{path.name}: {start:.3f} s"
            clips.append(LabelledClip(path, labels, start, end, where=where))
    tasks = {}
    for task in labels:
        names = labels_found(clips, task)
        tasks[task] = TaskLabels(names, propose_pairs(names))
    return ClipSet(path.parent, clips, tasks)


def _label_changes(path: Path) -> list[tuple[int, str, str]]:
    """(stamp, task, label) of every message on a label topic, in order of time."""
    store = typestore()
    bag = open_bag(path)
    changes = []
    try:
        for topic, about in bag.topics.items():
            if about.msgtype not in _LABEL_TYPES:
                continue
            for log_time_ns, data in bag.messages(topic):
                message: Any = store.deserialize_cdr(data, about.msgtype)
                stamp, label = log_time_ns, ""
                if about.msgtype == "std_msgs/msg/String":
                    label = message.data
                elif message.results:
                    label = message.results[0].class_id
                    header = message.header.stamp
                    stamp = header.sec * 1_000_000_000 + header.nanosec or log_time_ns
                if label:
                    changes.append((stamp, topic.rsplit("/", 1)[-1], label))
    finally:
        bag.close()
    return sorted(changes)
