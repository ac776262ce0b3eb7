"""Reads labelled stretches of video from a csv: `video`, and one column a task.

More columns are known by name: `start` and `end` (seconds; the whole video where they are missing or empty),
and `split`. Nearly symmetric pairs may stand in comments above the header,

    # atomic_action: open <-> close, pick_up <-> put_down

or, with more that a csv cannot say, in a YAML beside it (`clips.yaml` beside `clips.csv`): a task's labels in
order, its pairs, and which label means that nothing happens.

    atomic_action:
      idle: idle
      symmetric_pairs: [[open, close], [pick_up, put_down]]
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from step_ros.frames.segments_csv import (
    FIXED_COLUMNS,
    SegmentRow,
    SegmentsCsv,
    SegmentsCsvError,
    read_segments_csv,
    seconds,
)
from step_ros.training.datasets.labelled_clips import (
    SPLIT_NAMES,
    ClipsError,
    ClipSet,
    LabelledClip,
    TaskLabels,
    known_classes_only,
    labels_found,
)
from step_ros.training.datasets.symmetric_pairs import propose_pairs
from step_ros.training.yaml_file import YamlError, meant, read_yaml


@dataclass(frozen=True)
class TaskDescription:
    """What the YAML beside a csv says of a task; what it leaves out is found in the csv."""

    labels: tuple[str, ...] | None = None
    """In the order of the head's logits."""
    symmetric_pairs: tuple[tuple[str, str], ...] | None = None
    """Labels that are each other played backwards."""
    idle: str | None = None
    """The label that means that nothing happens."""


def read_clips_csv(path: Path, *, tasks: Sequence[str] = (), group: str | None = None) -> ClipSet:
    """Read a csv of clips; videos are relative to it.

    A task whose pairs are said nowhere gets those that its class names propose (see `propose_pairs`).

    Args:
        path: the csv.
        tasks: columns that are tasks; by default all but the fixed ones and `group`.
        group: column that names what must not be on both sides of a split, such as a scene.

    Returns:
        Its clips; a line that cannot be used is among the problems.

    Raises:
        ClipsError: the csv or its YAML cannot be read, a column is missing, or no line can be used.
    """
    try:
        table = read_segments_csv(path)
    except SegmentsCsvError as error:
        raise ClipsError(str(error)) from error
    if not table.rows:
        raise ClipsError(f"{path} has {'a header but ' if table.columns else ''}no clips")
    known = {*FIXED_COLUMNS, *([group] if group else [])}
    chosen = list(tasks) or [name for name in table.columns if name not in known]
    expected = ["video", *tasks, *([group] if group else [])]
    if not chosen or not set(expected) <= set(table.columns):
        raise ClipsError(
            f"{path}:{1 + len(table.comments)}: columns are {', '.join(table.columns)}; expected "
            f"{', '.join(expected)}{'' if tasks else ' and a task'}"
        )
    notes = [*table.notes, *_check_fixed_columns(path, table, chosen, bool(tasks))]
    problems: list[str] = []
    clips = [clip for row in table.rows if (clip := _clip(path, row, chosen, group, problems))]
    if not clips:
        raise ClipsError.of(f"{path} has no clips that can be used", problems)
    found = ClipSet(path.parent, clips, _tasks(path, clips, table, chosen), problems, notes)
    return known_classes_only(found)


_FIXED_ELSEWHERE = {
    "start": re.compile(r"(time|t)?(start|begin|onset|from|t0)(time|sec|secs|seconds|s)?"),
    "end": re.compile(r"(time|t)?(end|stop|offset|until|to|t1)(time|sec|secs|seconds|s)?"),
    "start and end, in seconds": re.compile(
        r"(start|begin|end|stop)?(frames?|framestart|frameend|time|timestamp|duration|ms|msec|millis)"
    ),
}
"""What columns of times are called elsewhere, without blanks and the like, by what they are called here."""


def _check_fixed_columns(path: Path, table: SegmentsCsv, tasks: Sequence[str], chosen: bool) -> list[str]:
    """Look for times and splits in columns that are not called so.

    Args:
        path: the csv.
        table: what it says.
        tasks: the columns that are tasks.
        chosen: whether the user named them.

    Returns:
        Notes on those that are not read.

    Raises:
        ClipsError: one would be a task, though nobody chose it.
    """
    notes = []
    for name in table.columns:
        cells = [row.cells[name] for row in table.rows if row.cells[name]]
        if name in FIXED_COLUMNS or not cells:
            continue
        plain = re.sub(r"[^a-z0-9]", "", name.lower())
        meant = next((here for here, there in _FIXED_ELSEWHERE.items() if there.fullmatch(plain)), "")
        what = "times"
        if not meant or not all(map(_is_time, cells)):
            meant, what = "split", "the names of splits"
            if not {cell.lower() for cell in cells} <= set(SPLIT_NAMES) or "split" in table.columns:
                continue
        if name in tasks and not chosen:
            raise ClipsError(
                f"{path}: the column {name!r} holds {what}, and would be a task: call it {meant}, or name "
                "the tasks with --tasks"
            )
        if name not in tasks:
            notes.append(
                f"{path}: the column {name!r} holds {what} and is not read; to be read it is {meant}"
            )
    return notes


def _is_time(cell: str) -> bool:
    try:
        seconds(cell)
    except ValueError:
        return False
    return True


def _clip(
    path: Path, row: SegmentRow, tasks: Sequence[str], group: str | None, problems: list[str]
) -> LabelledClip | None:
    """A row as a clip; None, and a problem, if it makes no sense."""
    where = f"{path.name}:{row.line}"
    labels = {task: row.cells[task] for task in tasks if row.cells[task]}
    if not row.cells["video"] or not labels:
        what = "video" if labels else ", ".join(tasks)
        problems.append(f"{where}: no value for {what}")
        return None
    start, end, split = (row.cells.get(column, "") for column in ("start", "end", "split"))
    try:
        times = (seconds(start) if start else 0.0, seconds(end) if end else None)
    except ValueError:
        problems.append(f"{where}: start and end must be seconds, found {start!r}, {end!r}")
        return None
    if not 0 <= times[0] < (float("inf") if times[1] is None else times[1]):
        problems.append(f"{where}: a clip must end after it starts, found {start or 0} to {end} s")
        return None
    return LabelledClip(
        video=path.parent / row.cells["video"],
        labels=labels,
        start=times[0],
        end=times[1],
        split=SPLIT_NAMES.get(split.lower(), split),
        group=row.cells[group] if group else "",
        where=where,
    )


def _tasks(
    path: Path, clips: list[LabelledClip], table: SegmentsCsv, chosen: Sequence[str]
) -> dict[str, TaskLabels]:
    """Each task's labels and pairs: of the YAML, of the comments, or proposed."""
    beside = path.with_suffix(".yaml")
    if path.with_suffix(".yml").exists():
        if beside.exists():
            raise ClipsError(
                f"{beside} and {path.with_suffix('.yml').name} both describe {path.name}; keep one"
            )
        beside = path.with_suffix(".yml")
    try:
        described = read_yaml(beside, dict[str, TaskDescription]) if beside.exists() else {}
    except YamlError as error:
        raise ClipsError(str(error)) from error
    unknown = sorted(set(described) - set(table.columns))
    if unknown:
        near = meant(unknown[0], table.columns)
        raise ClipsError(
            f"{beside} describes {', '.join(unknown)}; the csv has {', '.join(table.columns)}{near}"
        )
    tasks = {}
    for task in chosen:
        says = described.get(task, TaskDescription())
        labels = list(says.labels or labels_found(clips, task))
        pairs = (
            _pairs_in_comments(table.comments, task) if says.symmetric_pairs is None else says.symmetric_pairs
        )
        task_labels = TaskLabels(labels, list(propose_pairs(labels) if pairs is None else pairs), says.idle)
        named = {*task_labels.symmetric_labels, *([] if says.idle is None else [says.idle])}
        if named - set(labels):
            raise ClipsError(
                f"{beside if task in described else path}: "
                f"{', '.join(sorted(named - set(labels)))} is no label of "
                f"{task}, which has {', '.join(labels)}"
            )
        tasks[task] = task_labels
    return tasks


def _pairs_in_comments(comments: list[str], task: str) -> Sequence[tuple[str, str]] | None:
    """Pairs from `# task: a <-> b, c <-> d`; None if no comment is about the task."""
    for comment in comments:
        name, colon, pairs = comment.lstrip("# ").partition(":")
        if colon and name.strip() == task:
            sides = [pair.split("<->") for pair in pairs.split(",") if pair.strip()]
            return [(a.strip(), b.strip()) for a, b in sides]
    return None
