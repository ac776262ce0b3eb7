"""Reads a ROS 2 bag that holds images and labels: vision_msgs/Classification or std_msgs/String topics.

A label holds from its stamp until the next on its topic, see `step_ros.frames.bags.labels`. The task is the
topic's last part: `/truth/object` is of the task `object`. What a perception node answered is no label. A bag
without such topics can be labelled by a csv whose `video` column names it.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

from step_ros.frames import BagError, Frame, read_bag_frames, read_video, video
from step_ros.frames.bags.labels import LABEL_TYPES, LabelChange, answer_topics, read_label_changes
from step_ros.frames.bags.storage import open_bag
from step_ros.training.datasets.labelled_clips import ClipsError, ClipSet, LabelledClip, task_found

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
    """Every stretch of a bag with labels during which none changes.

    Raises:
        ClipsError: the bag cannot be read, has no label topics, or two that tell of one task.
    """
    try:
        told = _changes_by_task(path)
        first = next(read_bag_frames(path)).stamp_ns
    except (BagError, StopIteration) as error:
        raise ClipsError(f"{path} cannot be read: {error}") from error
    changes = sorted((stamp_ns, task, label) for task in told for stamp_ns, label in told[task])
    clips = []
    holding: dict[str, str] = {}
    for (stamp, task, label), following in zip(changes, [*changes[1:], None], strict=True):
        holding = {**holding, task: label}
        labels = {task: label for task, label in holding.items() if label}
        start = max(stamp - first, 0) / 1e9
        end = None if following is None else max(following[0] - first, 0) / 1e9
        if labels and (end is None or end > start):
            clips.append(LabelledClip(path, labels, start, end, where=f"{path.name}: {start:.3f} s"))
    return ClipSet(path.parent, clips, {task: task_found(clips, task) for task in holding})


def _changes_by_task(path: Path) -> dict[str, list[LabelChange]]:
    """What the label topics of a bag say, by task; those with nothing to say are left out."""
    with closing(open_bag(path)) as bag:
        answers = answer_topics(bag.topics)
        told: dict[str, list[LabelChange]] = {}
        topics: dict[str, str] = {}
        for topic, about in sorted(bag.topics.items()):
            if about.msgtype not in LABEL_TYPES or topic in answers:
                continue
            changes = read_label_changes(bag, topic)
            task = topic.rpartition("/")[-1]
            if not changes:
                continue
            if task in told:
                raise ClipsError(
                    f"{path}: {topics[task]} and {topic} both tell of the task {task}; take one of them out "
                    "of the bag, or label it by a csv"
                )
            told[task], topics[task] = changes, topic
    if not told:
        but = f" but the answers of a perception node: {', '.join(sorted(answers))}" if answers else ""
        raise ClipsError(f"{path} has no label topics ({' or '.join(LABEL_TYPES)}){but}")
    return told


def announced_seconds(path: Path) -> float:
    """A video's length by its header; of a bag, by reading it; 0 where neither can be had."""
    if not is_bag(path):
        return video.announced_seconds(path)
    try:
        return max((frame.stamp_ns for frame in read_frames(path)), default=0) / 1e9
    except BagError:
        return 0.0
