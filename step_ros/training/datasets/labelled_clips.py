"""Labelled stretches of video and their tasks: what every data set comes down to."""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

from step_ros.frames.plain_text import unprintable
from step_ros.training.datasets.symmetric_pairs import propose_pairs

_NAMED = 9
"""So many problems are named where nothing is left."""


class ClipsError(ValueError):
    """A data set cannot be used at all; the message names file and line."""

    @classmethod
    def of(cls, sentence: str, problems: Sequence[str]) -> ClipsError:
        """With the first of the problems that led to it."""
        more = [f"and {len(problems) - _NAMED} more"] if len(problems) > _NAMED else []
        return cls("\n".join([sentence, *problems[:_NAMED], *more]))


@dataclass(frozen=True)
class LabelledClip:
    """One stretch of a video and what happens in it."""

    video: Path
    """A video file, or a ROS 2 bag."""
    labels: dict[str, str]
    """Task to label; a task that this clip says nothing of is missing."""
    start: float = 0.0
    """Where it begins, in `unit`s from the video's first frame."""
    end: float | None = None
    """Where it ends, after `start`; None is the video's end."""
    split: str = ""
    """"train", "validation" or "test"; empty where the data set has no splits."""
    group: str = ""
    """What must not be on both sides of a split: a scene, a person. Empty where there is none."""
    unit: str = "seconds"
    """Of `start` and `end`: "seconds" or "frames"."""
    where: str = ""
    """File and line that say so, for messages."""


@dataclass(frozen=True)
class TaskLabels:
    """What a head is to answer."""

    labels: list[str]
    """In the order of the head's logits."""
    symmetric_pairs: list[tuple[str, str]] = field(default_factory=list)
    """Labels that are each other played backwards."""
    idle: str | None = None
    """The label that means that nothing happens, if there is one."""

    def __post_init__(self) -> None:
        """Take lists for tuples, as JSON and YAML give them.

        Raises:
            ClipsError: a label is no plain text.
        """
        for label in self.labels:
            if wrong := unprintable(label):
                raise ClipsError(f"the label {label!r} holds {wrong}; labels are plain text")
        object.__setattr__(self, "symmetric_pairs", [(a, b) for a, b in self.symmetric_pairs])

    @property
    def symmetric_labels(self) -> list[str]:
        """The labels that have a partner."""
        return [label for pair in self.symmetric_pairs for label in pair]


@dataclass
class ClipSet:
    """A data set as it lies on disk."""

    root: Path
    """Where its videos are."""
    clips: list[LabelledClip]
    """In the order of its files."""
    tasks: dict[str, TaskLabels]
    """What is to be answered, by task."""
    problems: list[str] = field(default_factory=list)
    """What is wrong with it, each with file and line; what is named here is not among `clips`."""
    notes: list[str] = field(default_factory=list)
    """How it was read where that is not certain."""


SPLIT_NAMES = {
    "train": "train",
    "training": "train",
    "val": "validation",
    "valid": "validation",
    "validation": "validation",
    "dev": "validation",
    "test": "test",
    "testing": "test",
}
"""The names that data sets give their splits, and ours."""


def check_clips(clip_set: ClipSet, *, overlaps: bool = False) -> ClipSet:
    """Leave out what cannot be encoded, each with its reason: missing videos, reversed or overlapping clips.

    Two clips of a video overlap if they share time; the later one is left out. Clips that run to their
    video's end are told apart only once it is read.

    Args:
        clip_set: as it was read.
        overlaps: whether clips may share time, as they may where each is looked at by itself.
    """
    problems = list(clip_set.problems)
    good: list[LabelledClip] = []
    by_video: dict[Path, list[LabelledClip]] = defaultdict(list)
    there = {video: video.exists() for video in {clip.video for clip in clip_set.clips}}
    for clip in clip_set.clips:
        if not there[clip.video]:
            problems.append(f"{clip.where}: there is no {clip.video}")
        elif not _makes_sense(clip):
            problems.append(
                f"{clip.where}: a clip must end after it starts, found {clip.start} to {clip.end} {clip.unit}"
            )
        else:
            by_video[clip.video].append(clip)
            good.append(clip)
    overlapping = set()
    for clips in [] if overlaps else by_video.values():
        before: LabelledClip | None = None
        for clip in sorted(clips, key=lambda c: (c.start, _end(c))):
            if before is not None and clip.start < _end(before) - 1e-3:
                overlapping.add(id(clip))
                problems.append(
                    f"{clip.where}: {clip.start} to {clip.end} {clip.unit} overlaps {before.start} to "
                    f"{before.end} ({before.where}); left out"
                )
            else:
                before = clip
    kept = [clip for clip in good if id(clip) not in overlapping]
    return replace(clip_set, clips=kept, problems=problems)


def known_classes_only(clip_set: ClipSet) -> ClipSet:
    """Take away labels that their task does not have; a clip with none left is left out. Each is named.

    Raises:
        ClipsError: no clip is left.
    """
    problems = list(clip_set.problems)
    known = {task: frozenset(about.labels) for task, about in clip_set.tasks.items()}
    kept = []
    for clip in clip_set.clips:
        labels = {}
        for task, label in clip.labels.items():
            if task in known and label not in known[task]:
                problems.append(f"{clip.where}: {task} has no class {label!r}")
            else:
                labels[task] = label
        if labels:
            kept.append(replace(clip, labels=labels))
    return usable(replace(clip_set, clips=kept, problems=problems))


def labels_found(clips: Iterable[LabelledClip], task: str) -> list[str]:
    """The labels of a task that clips have, in alphabetical order."""
    return sorted({clip.labels[task] for clip in clips if task in clip.labels})


def task_found(clips: Iterable[LabelledClip], task: str) -> TaskLabels:
    """A task of which nothing is known but its clips: `labels_found`, and the pairs that those propose."""
    labels = labels_found(clips, task)
    return TaskLabels(labels, propose_pairs(labels))


def usable(clip_set: ClipSet) -> ClipSet:
    """The clips as they are.

    Raises:
        ClipsError: there are none.
    """
    if not clip_set.clips:
        raise ClipsError.of(f"{clip_set.root} has no clips that can be used", clip_set.problems)
    return clip_set


def _makes_sense(clip: LabelledClip) -> bool:
    return 0 <= clip.start < _end(clip) and not (clip.end is not None and math.isinf(clip.end))


def _end(clip: LabelledClip) -> float:
    return math.inf if clip.end is None else clip.end
