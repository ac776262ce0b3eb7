"""What may be wrong with a data set, found before anything costs time."""

from __future__ import annotations

import itertools
import re
from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from enum import Enum
from pathlib import Path

from step_ros.probes.head_config import TASK_NAME
from step_ros.training.datasets.labelled_bag import announced_seconds
from step_ros.training.datasets.labelled_clips import ClipSet, LabelledClip, TaskLabels
from step_ros.training.datasets.symmetric_pairs import opposites

LEFT_OUT = "left out: "
"""How the sentence of a clip begins that cannot be used."""

FEW = 5
"""Training clips of a class below which it is hardly learned."""

_NAMED = 8
"""Of many like things so many are named."""
_LONGEST_OF_WORDS = 4
"""Labels that short differ by a letter for good reason."""
_RARE = 0.2
"""A label that is like another one is a slip of the pen if it is so much rarer."""
_TEXT = 0.5
"""A column with more classes than that share of its clips holds text."""


class Severity(Enum):
    """What a doubt asks for."""

    ERROR = "error"
    """To be mended first."""
    DOUBT = "doubt"
    """To be looked at."""
    NOTE = "note"
    """To be known."""


@dataclass(frozen=True)
class Doubt:
    """Something about a data set."""

    severity: Severity
    sentence: str
    """What was found, where, and what to do."""


def find_doubts(clip_set: ClipSet, *, window_seconds: float | None = None) -> list[Doubt]:
    """Look at a data set; the gravest things come first.

    Videos are asked for their length by their headers; nothing is decoded.

    Args:
        clip_set: as `read_dataset` gives it; what that left out is told again.
        window_seconds: of windows that slide over whole videos; None if each clip is a window.
    """
    clips = clip_set.clips
    found = [Doubt(Severity.NOTE, note) for note in clip_set.notes]
    found += [Doubt(Severity.DOUBT, f"{LEFT_OUT}{problem}") for problem in clip_set.problems]
    for task, about in clip_set.tasks.items():
        found += _doubts_of_a_task(task, about, [clip for clip in clips if task in clip.labels])
    found += _leaks(clips)
    splits = {clip.split for clip in clips}
    if "train" in splits and "validation" not in splits:
        sentence = (
            "there are no validation clips: confidence of trained heads stays uncalibrated (temperature 1); "
            "give --validation-share to train, or --probe moments, which needs none"
        )
        found.append(Doubt(Severity.DOUBT, sentence))
    found += _times(clips, window_seconds)
    order = list(Severity)
    return sorted(found, key=lambda doubt: order.index(doubt.severity))


def classes_by_split(clips: Sequence[LabelledClip], task: str) -> tuple[list[str], list[list[str]]]:
    """The splits that there are, and a row a class: its name and its clips in each."""
    splits = [s for s in ("train", "validation", "test", "") if any(clip.split == s for clip in clips)]
    counts = Counter((clip.labels[task], clip.split) for clip in clips if task in clip.labels)
    labels = sorted({label for label, _ in counts})
    return [s or "clips" for s in splits], [
        [label, *(str(counts[label, s]) for s in splits)] for label in labels
    ]


def _doubts_of_a_task(task: str, about: TaskLabels, clips: Sequence[LabelledClip]) -> Iterator[Doubt]:
    if not TASK_NAME.match(task):
        sentence = (
            f"the task {task!r} cannot be part of a topic's name (letters, digits and underscores, a letter "
            "first); rename the column, or leave it out with --tasks"
        )
        yield Doubt(Severity.ERROR, sentence)
    counts = Counter(clip.labels[task] for clip in clips)
    if len(about.labels) > _TEXT * counts.total() and len(about.labels) > FEW:
        sentence = (
            f"{task} has {len(about.labels)} classes of {counts.total()} clips, as text has; if that is what "
            "it is, leave it out with --tasks"
        )
        yield Doubt(Severity.NOTE, sentence)
        return
    yield from _near_duplicates(task, counts, about)
    yield from _classes(task, clips, about)
    for first, second in about.symmetric_pairs:
        why = ", ".join(f"{a} and {b}" for a, b in opposites(first, second)) or "the data set says so"
        taught = "each is learned from the other's clips backwards"
        yield Doubt(Severity.NOTE, f"{task}: {first} <-> {second} ({why}); {taught}")


def _near_duplicates(task: str, counts: Counter[str], about: TaskLabels) -> Iterator[Doubt]:
    """Labels that are one but for case and blanks, and such as look like slips of the pen."""
    same: dict[str, list[str]] = defaultdict(list)
    for label in counts:
        same[re.sub(r"[\s_-]+", " ", label).casefold()].append(label)
    for labels in same.values():
        if len(labels) > 1:
            named = ", ".join(f"{label!r} ({counts[label]})" for label in labels)
            sentence = f"{task} has labels that differ in case or blanks alone: {named}; write them alike"
            yield Doubt(Severity.ERROR, sentence)
    paired = {frozenset(pair) for pair in about.symmetric_pairs}
    for common, rare in _alike(counts):
        likely = counts[rare] <= _RARE * counts[common]
        if likely and frozenset((common, rare)) not in paired:
            sentence = f"{task}: is {rare!r} ({counts[rare]} clips) meant for {common!r} ({counts[common]})?"
            yield Doubt(Severity.DOUBT, sentence)


def _alike(counts: Counter[str]) -> list[tuple[str, str]]:
    """Pairs of labels that a slip of the pen makes of each other, the commoner first."""
    neighbours: dict[str, list[str]] = defaultdict(list)
    for label in sorted(counts):
        if len(label) > _LONGEST_OF_WORDS:
            for variant in _one_letter_less(label):
                neighbours[variant].append(label)
    pairs = set()
    for alike in neighbours.values():
        for first, second in itertools.combinations(alike, 2):
            if _is_slip(first, second):
                pairs.add((first, second) if counts[first] >= counts[second] else (second, first))
    return sorted(pairs)


def _one_letter_less(label: str) -> set[str]:
    """The label, and it with any one letter taken out: two labels a letter apart share one of these."""
    return {label, *(label[:i] + label[i + 1 :] for i in range(len(label)))}


def _is_slip(one: str, other: str) -> bool:
    """Whether labels differ by a letter too few, too many, wrong, or two swapped; digits number things."""
    if one == other or re.sub(r"\d+", "", one) == re.sub(r"\d+", "", other) or abs(len(one) - len(other)) > 1:
        return False
    start = next(
        (i for i, (a, b) in enumerate(zip(one, other, strict=False)) if a != b), min(len(one), len(other))
    )
    rest, rival = one[start:], other[start:]
    swapped = rest[:2] == rival[1::-1] and rest[2:] == rival[2:]
    return swapped or rest[1:] == rival[1:] or rest[1:] == rival or rest == rival[1:]


def _classes(task: str, clips: Sequence[LabelledClip], about: TaskLabels) -> Iterator[Doubt]:
    """Classes with hardly a clip to learn from, or none but to be judged by."""
    training = Counter(clip.labels[task] for clip in clips if clip.split in ("", "train"))
    few = [f"{label} ({training[label]})" for label in about.labels if 0 < training[label] < FEW]
    if few:
        yield Doubt(Severity.DOUBT, f"{task}: fewer than {FEW} training clips teach {_some(few)}")
    never = sorted({clip.labels[task] for clip in clips} - set(training))
    if never:
        yield Doubt(
            Severity.DOUBT, f"{task}: clips are judged of {_some(never)}, which no training clip shows"
        )
    if len(training) < 2:
        shown = f"{len(training)} class" if training else "none"
        yield Doubt(Severity.ERROR, f"{task}: training clips show {shown}; a head needs two")


def _leaks(clips: Sequence[LabelledClip]) -> Iterator[Doubt]:
    """Videos and groups that are in more than one split."""
    videos = [(clip.video.name, str(clip.video), clip.split) for clip in clips]
    groups = [(clip.group, clip.group, clip.split) for clip in clips]
    for what, named in (("video", videos), ("group", groups)):
        splits: dict[tuple[str, str], set[str]] = defaultdict(set)
        for name, key, split in named:
            if key and split:
                splits[name, key].add(split)
        leaks = [f"{name} ({', '.join(sorted(s))})" for (name, _), s in splits.items() if len(s) > 1]
        if leaks:
            are = f"{len(leaks)} {what}{'s are' if len(leaks) > 1 else ' is'}"
            sentence = (
                f"{are} in more than one split: {_some(leaks)}; heads are judged by what they have seen"
            )
            yield Doubt(Severity.DOUBT, sentence)


def _times(clips: Sequence[LabelledClip], window_seconds: float | None) -> Iterator[Doubt]:
    """Clips beyond their video's end, and shorter than a window."""
    lengths = {video: announced_seconds(video) for video in {clip.video for clip in clips}}
    timed = [clip for clip in clips if clip.unit == "seconds" and lengths[clip.video] > 0]
    beyond = [clip for clip in timed if max(clip.start, (clip.end or 0) - 1.0) > lengths[clip.video]]
    if beyond:
        first, length = beyond[0], lengths[beyond[0].video]
        severity = Severity.ERROR if len(beyond) > len(timed) / 2 else Severity.DOUBT
        where = f"{_place(first)}: {first.start:g} to {length if first.end is None else first.end:g} s"
        sentence = (
            f"{len(beyond)} of {len(clips)} clips go beyond their video's end, such as {where} of "
            f"{length:.1f} s{_other_unit(timed, beyond, lengths)}"
        )
        yield Doubt(severity, sentence)
    if window_seconds is not None:
        ends = ((clip, lengths[clip.video] if clip.end is None else clip.end) for clip in timed)
        short = [clip for clip, end in ends if end - clip.start < window_seconds - 1e-3]
        if short:
            sentence = (
                f"{len(short)} of {len(clips)} clips are shorter than a window ({window_seconds:g} s), such "
                f"as {_place(short[0])}: nothing is judged by them"
            )
            yield Doubt(Severity.DOUBT, sentence)


def _other_unit(
    timed: Sequence[LabelledClip], beyond: Sequence[LabelledClip], lengths: Mapping[Path, float]
) -> str:
    """What the times may be counted in, if all are whole numbers and too large for seconds."""
    if not all(float(t).is_integer() for clip in timed for t in (clip.start, clip.end or 0)):
        return ""
    ratio = max((clip.end or clip.start) / lengths[clip.video] for clip in beyond)
    return (
        f"; times look like {'milliseconds' if ratio > 200 else 'frames'}, not seconds" if ratio > 5 else ""
    )


def _place(clip: LabelledClip) -> str:
    return clip.where or clip.video.name


def _some(names: Sequence[str]) -> str:
    """A list in words; of many, the first."""
    more = len(names) - _NAMED
    return ", ".join(names[:_NAMED]) + (f" and {more} more" if more > 0 else "")
