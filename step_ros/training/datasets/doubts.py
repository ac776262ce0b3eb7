"""What may be wrong with a data set, found before anything costs time."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from enum import Enum
from pathlib import Path
from typing import Any

from step_ros.probes.head_config import TASK_NAME
from step_ros.training.datasets.labelled_bag import announced_seconds
from step_ros.training.datasets.labelled_clips import SPLIT_NAMES, ClipSet, LabelledClip, TaskLabels
from step_ros.training.datasets.same_film import same_films
from step_ros.training.datasets.slips import same_but_for_case, slips
from step_ros.training.datasets.symmetric_pairs import opposites

FEW = 5
"""Training clips of a class below which it is hardly learned."""

_NAMED = 8
"""Of many like things so many are named."""
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
    """What was found, and what to do."""
    places: tuple[str, ...] = ()
    """Files and lines that show it; none where all of them do."""

    def __str__(self) -> str:
        """All of it on a line."""
        where = f"{_some(self.places, 3)}: " if self.places else ""
        return f"{self.severity.value}: {where}{self.sentence}"

    def to_json(self) -> dict[str, Any]:
        """All of it as plain values."""
        return {"severity": self.severity.value, "sentence": self.sentence, "places": list(self.places)}


def left_out(clip_set: ClipSet) -> list[Doubt]:
    """What whoever read the data set has to say: what is not among its clips, and why."""
    problems = (problem.partition(": ") for problem in clip_set.problems)
    return [Doubt(Severity.DOUBT, f"left out: {what}", (where,)) for where, _, what in problems]


def find_doubts(clip_set: ClipSet, *, window_seconds: float | None = None) -> list[Doubt]:
    """Look at the clips of a data set; the gravest things come first.

    Videos are asked for their length by their headers, and those of one size are compared; nothing is
    decoded.

    Args:
        clip_set: as `read_dataset` gives it.
        window_seconds: of windows that slide over whole videos; None if each clip is a window.
    """
    clips = clip_set.clips
    teaching = "train" if any(clip.split for clip in clips) else ""
    found = [Doubt(Severity.NOTE, note) for note in clip_set.notes]
    for task, about in clip_set.tasks.items():
        of = [clip for clip in clips if task in clip.labels]
        found += _doubts_of_a_task(task, about, of, teaching)
    found += _splits(clips)
    film_of = same_films(clip.video for clip in clips)
    found += _leaks(clips, film_of)
    found += _twice(clips, film_of)
    found += _times(clips, window_seconds)
    order = list(Severity)
    return sorted(found, key=lambda doubt: order.index(doubt.severity))


def classes_by_split(clips: Sequence[LabelledClip], task: str) -> tuple[list[str], list[list[str]]]:
    """The splits that there are, and a row a class: its name and its clips in each."""
    splits = list(dict.fromkeys(["train", "validation", "test", *sorted({clip.split for clip in clips})]))
    splits = [split for split in splits if any(clip.split == split for clip in clips)]
    counts = Counter((clip.labels[task], clip.split) for clip in clips if task in clip.labels)
    labels = sorted({label for label, _ in counts})
    return [s or "clips" for s in splits], [
        [label, *(str(counts[label, s]) for s in splits)] for label in labels
    ]


def _doubts_of_a_task(
    task: str, about: TaskLabels, clips: Sequence[LabelledClip], teaching: str
) -> Iterator[Doubt]:
    if not TASK_NAME.match(task):
        sentence = (
            f"the task {task!r} cannot be part of a topic's name (letters, digits and underscores, a letter "
            "first); rename the column, or leave it out with --tasks"
        )
        yield Doubt(Severity.ERROR, sentence)
    by_label: dict[str, list[LabelledClip]] = defaultdict(list)
    for clip in clips:
        by_label[clip.labels[task]].append(clip)
    if len(about.labels) > _TEXT * len(clips) and len(about.labels) > FEW:
        sentence = (
            f"{task} has {len(about.labels)} classes of {len(clips)} clips, as text has; if that is what it "
            "is, leave it out with --tasks"
        )
        yield Doubt(Severity.NOTE, sentence)
        return
    yield from _near_duplicates(task, by_label)
    yield from _classes(task, about, by_label, teaching)
    for first, second in about.symmetric_pairs:
        why = ", ".join(f"{a} and {b}" for a, b in opposites(first, second)) or "the data set says so"
        taught = "each is learned from the other's clips backwards"
        yield Doubt(Severity.NOTE, f"{task}: {first} <-> {second} ({why}); {taught}")


def _near_duplicates(task: str, by_label: Mapping[str, Sequence[LabelledClip]]) -> Iterator[Doubt]:
    """Labels that are one but for case and blanks, and such as look like slips of the pen."""
    counts = {label: len(clips) for label, clips in by_label.items()}
    for labels in same_but_for_case(list(counts)):
        common, *others = sorted(labels, key=lambda label: -counts[label])
        named = ", ".join(f"{label!r} ({counts[label]})" for label in (common, *others))
        sentence = f"{task} has labels that differ in case or blanks alone: {named}; write them alike"
        yield Doubt(Severity.ERROR, sentence, _places(clip for other in others for clip in by_label[other]))
    for meant, written in slips(counts):
        sentence = f"{task}: is {written!r} ({counts[written]} clips) meant for {meant!r} ({counts[meant]})?"
        yield Doubt(Severity.DOUBT, sentence, _places(by_label[written]))


def _classes(
    task: str, about: TaskLabels, by_label: Mapping[str, Sequence[LabelledClip]], teaching: str
) -> Iterator[Doubt]:
    """Classes with hardly a clip of the split `teaching`, or none."""
    taught = {
        label: [clip for clip in by_label.get(label, ()) if clip.split == teaching] for label in about.labels
    }
    trained = [label for label, clips in taught.items() if clips]
    few = [label for label in trained if len(taught[label]) < FEW]
    if few:
        named = _some([f"{label} ({len(taught[label])})" for label in few])
        sentence = f"{task}: fewer than {FEW} training clips teach {named}"
        yield Doubt(Severity.DOUBT, sentence, _places(clip for label in few for clip in taught[label]))
    never = [label for label in about.labels if label in by_label and not taught[label]]
    if not trained:
        yield Doubt(Severity.NOTE, f"{task}: no clip is there to train on; heads can be judged by these")
    elif never:
        sentence = f"{task}: clips are judged of {_some(never)}, which no training clip shows"
        yield Doubt(Severity.DOUBT, sentence, _places(clip for label in never for clip in by_label[label]))
    missing = [label for label in about.labels if label not in by_label]
    if missing:
        yield Doubt(Severity.NOTE, f"{task}: no clip shows {_some(missing)}")
    if len(trained) == 1:
        sentence = f"{task}: all training clips show {trained[0]}; a head needs two classes"
        yield Doubt(Severity.ERROR, sentence)


def _splits(clips: Sequence[LabelledClip]) -> Iterator[Doubt]:
    """Splits that are missing, and names that mean none."""
    splits = {clip.split for clip in clips}
    uncalibrated = (
        "confidence of trained heads stays uncalibrated (temperature 1); give --validation-share to train or "
        "--probe moments, which needs none"
    )
    if splits == {""}:
        yield Doubt(Severity.NOTE, f"no clip names a split: all are trained on, and {uncalibrated}")
        return
    if "train" in splits and "validation" not in splits:
        yield Doubt(Severity.DOUBT, f"there are no validation clips: {uncalibrated}")
    for split in sorted(splits - set(SPLIT_NAMES.values())):
        of = [clip for clip in clips if clip.split == split]
        what = f"are of the split {split!r}" if split else "name no split, as others do"
        sentence = f"{len(of)} clips {what}: they are of no use; splits are train, validation and test"
        yield Doubt(Severity.DOUBT, sentence, _places(of))


def _leaks(clips: Sequence[LabelledClip], film_of: Mapping[Path, Path]) -> Iterator[Doubt]:
    """Films, whatever their files are called, and groups that are in more than one split."""
    films: dict[object, list[LabelledClip]] = defaultdict(list)
    groups: dict[object, list[LabelledClip]] = defaultdict(list)
    for clip in clips:
        if clip.split:
            films[film_of[clip.video]].append(clip)
        if clip.split and clip.group:
            groups[clip.group].append(clip)
    for what, parts in (("video", films), ("group", groups)):
        leaks = {}
        for name, shown in parts.items():
            splits = sorted({clip.split for clip in shown})
            if len(splits) > 1:
                names = dict.fromkeys(clip.video.name for clip in shown) if what == "video" else [name]
                leaks[f"{' = '.join(map(str, names))} ({', '.join(splits)})"] = shown
        if leaks:
            are = f"{len(leaks)} {what}{'s are' if len(leaks) > 1 else ' is'} in more than one split"
            sentence = f"{are}: {_some(list(leaks))}; heads are judged by what they have seen"
            yield Doubt(Severity.DOUBT, sentence, _places(clip for shown in leaks.values() for clip in shown))


def _twice(clips: Sequence[LabelledClip], film_of: Mapping[Path, Path]) -> Iterator[Doubt]:
    """Clips that show the very same as another one of their split, under the same label or another."""
    stretches: dict[object, list[LabelledClip]] = defaultdict(list)
    for clip in clips:
        stretches[film_of[clip.video], clip.start, clip.end, clip.split].append(clip)
    twice: list[LabelledClip] = []
    differently: list[LabelledClip] = []
    for alike in (alike for alike in stretches.values() if len(alike) > 1):
        for task in dict.fromkeys(task for clip in alike for task in clip.labels):
            of = [clip for clip in alike if task in clip.labels]
            differ = len({clip.labels[task] for clip in of}) > 1
            (differently if differ else twice).extend(of if len(of) > 1 else [])
    if places := _places(twice):
        sentence = f"{len(places)} clips show what another of them shows, under the same label; keep one each"
        yield Doubt(Severity.DOUBT, sentence, places)
    if places := _places(differently):
        sentence = (
            f"{len(places)} clips show what another of them shows, under another label of the same task"
        )
        yield Doubt(Severity.DOUBT, sentence, places)


def _times(clips: Sequence[LabelledClip], window_seconds: float | None) -> Iterator[Doubt]:
    """Clips beyond their video's end, and shorter than a window."""
    lengths = {video: announced_seconds(video) for video in {clip.video for clip in clips}}
    unknown = [clip for clip in clips if not lengths[clip.video]]
    if unknown:
        sentence = (
            f"{len({clip.video for clip in unknown})} of {len(lengths)} videos do not say how long they are, "
            f"such as {unknown[0].video.name}: times in them are not looked at"
        )
        yield Doubt(Severity.NOTE, sentence, _places(unknown))
    timed = [clip for clip in clips if clip.unit == "seconds" and lengths[clip.video] > 0]
    beyond = [clip for clip in timed if max(clip.start, (clip.end or 0) - 1.0) > lengths[clip.video]]
    if beyond:
        first, length = beyond[0], lengths[beyond[0].video]
        severity = Severity.ERROR if len(beyond) > len(timed) / 2 else Severity.DOUBT
        sentence = (
            f"{len(beyond)} of {len(clips)} clips go beyond their video's end, the first from "
            f"{first.start:g} to {length if first.end is None else first.end:g} s of {length:.1f} s"
            f"{_other_unit(timed, beyond, lengths)}"
        )
        yield Doubt(severity, sentence, _places(beyond))
    if window_seconds is not None:
        ends = ((clip, lengths[clip.video] if clip.end is None else clip.end) for clip in timed)
        short = [clip for clip, end in ends if end - clip.start < window_seconds - 1e-3]
        if short:
            sentence = (
                f"{len(short)} of {len(clips)} clips are shorter than a window ({window_seconds:g} s): "
                "nothing is judged by them"
            )
            yield Doubt(Severity.DOUBT, sentence, _places(short))


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


def _places(clips: Iterable[LabelledClip]) -> tuple[str, ...]:
    """Where clips are spoken of, each place once."""
    return tuple(dict.fromkeys(clip.where or clip.video.name for clip in clips))


def _some(names: Sequence[str], most: int = _NAMED) -> str:
    """A list in words; of many, the first."""
    more = len(names) - most
    return ", ".join(names[:most]) + (f" and {more} more" if more > 0 else "")
