"""Reads labelled stretches of video: a csv (`video,start,end,split`, one column a task) and a YAML beside it.

The YAML, `clips.yaml` beside `clips.csv`, may say what a csv cannot: a task's labels in order, its nearly
symmetric pairs, and which label means that nothing happens.

    atomic_action:
      idle: idle
      symmetric_pairs: [[open, close], [pick_up, put_down]]
"""

from __future__ import annotations

import csv
import math
from dataclasses import dataclass, field
from pathlib import Path

import yaml

FIXED_COLUMNS = ("video", "start", "end", "split")


class ClipsError(ValueError):
    """A clips csv cannot be used; the message names file and line."""


@dataclass(frozen=True)
class LabelledClip:
    """One stretch of a video and what happens in it.

    Attributes:
        video: path of the file.
        start: seconds from the video's beginning.
        end: seconds, after `start`.
        split: such as "train", "validation" or "test".
        labels: task to label.
    """

    video: Path
    start: float
    end: float
    split: str
    labels: dict[str, str]


@dataclass(frozen=True)
class TaskLabels:
    """What a head is to answer.

    Attributes:
        labels: in the order of the head's logits.
        symmetric_pairs: labels that are each other played backwards.
        idle: the label that means that nothing happens, if there is one.
    """

    labels: list[str]
    symmetric_pairs: list[tuple[str, str]] = field(default_factory=list)
    idle: str | None = None

    def __post_init__(self) -> None:
        """Take lists for tuples, as JSON and YAML give them."""
        object.__setattr__(self, "symmetric_pairs", [(a, b) for a, b in self.symmetric_pairs])


def read_clips(path: Path) -> list[LabelledClip]:
    """Read a clips csv; videos are relative to it.

    Raises:
        ClipsError: the file is missing or empty, a column or value is missing, a time is not a number, or a
            clip ends before it starts; named with its line.
    """
    try:
        with path.open(newline="", encoding="utf-8") as file:
            reader = csv.DictReader(file)
            columns = reader.fieldnames or ()
            missing = [name for name in FIXED_COLUMNS if name not in columns]
            tasks = [name for name in columns if name not in FIXED_COLUMNS]
            if missing or not tasks:
                raise ClipsError(
                    f"{path}:1: columns are {list(columns)}; expected {', '.join(FIXED_COLUMNS)} and a task"
                )
            clips = [_clip(path, reader.line_num, row, tasks) for row in reader]
    except OSError as error:
        raise ClipsError(f"{path} cannot be read: {error.strerror}") from error
    if not clips:
        raise ClipsError(f"{path} has a header but no clips")
    return clips


def _clip(path: Path, line: int, row: dict[str, str], tasks: list[str]) -> LabelledClip:
    where = f"{path}:{line}"
    empty = [name for name in (*FIXED_COLUMNS, *tasks) if not row.get(name)]
    if empty:
        raise ClipsError(f"{where}: no value for {', '.join(empty)}")
    try:
        start, end = float(row["start"]), float(row["end"])
    except ValueError as error:
        raise ClipsError(
            f"{where}: start and end must be seconds, found {row['start']!r}, {row['end']!r}"
        ) from error
    if not (math.isfinite(end) and 0 <= start < end):
        raise ClipsError(f"{where}: a clip must end after it starts, found {start} to {end} s")
    return LabelledClip(
        path.parent / row["video"], start, end, row["split"], {task: row[task] for task in tasks}
    )


def read_tasks(path: Path, clips: list[LabelledClip]) -> dict[str, TaskLabels]:
    """The tasks of a clips csv: what its YAML says, and otherwise the labels found, in alphabetical order.

    Raises:
        ClipsError: the YAML cannot be read, or names a task or label that no clip has.
    """
    try:
        beside = path.with_suffix(".yaml")
        described = yaml.safe_load(beside.read_text(encoding="utf-8")) if beside.exists() else {}
    except (OSError, yaml.YAMLError) as error:
        raise ClipsError(f"{beside} cannot be read: {error}") from error
    found = {task: sorted({clip.labels[task] for clip in clips}) for task in clips[0].labels}
    unknown = set(described) - set(found)
    if unknown:
        raise ClipsError(f"{beside} describes {', '.join(sorted(unknown))}; the csv has {', '.join(found)}")
    tasks = {}
    for task, labels in found.items():
        says = described.get(task, {})
        task_labels = TaskLabels(
            says.get("labels", labels), says.get("symmetric_pairs", []), says.get("idle")
        )
        named = {
            *(label for pair in task_labels.symmetric_pairs for label in pair),
            *([says["idle"]] if "idle" in says else []),
        }
        if named - set(task_labels.labels) or set(labels) - set(task_labels.labels):
            raise ClipsError(
                f"{beside}: labels of {task} do not match: clips have {labels}, the file says {says}"
            )
        tasks[task] = task_labels
    return tasks
