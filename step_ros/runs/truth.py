"""What really happened in a recording: from topics of its bag, or from a csv."""

from __future__ import annotations

import logging
import math
import os
from collections.abc import Collection
from contextlib import closing
from pathlib import Path

from step_ros.frames.bags.labels import LABEL_TYPES, read_label_changes
from step_ros.frames.bags.storage import open_bag
from step_ros.frames.segments_csv import (
    FIXED_COLUMNS,
    SegmentRow,
    SegmentsCsv,
    SegmentsCsvError,
    read_segments_csv,
    seconds,
)
from step_ros.runs.run import Run
from step_ros.scores.timeline import UNLABELLED, TruthTimeline

_log = logging.getLogger(__name__)


class TruthError(ValueError):
    """The truth cannot be used; the message says what was found."""


def read_truth_topics(bag: Path, tasks: Collection[str], prefix: str = "/truth") -> dict[str, TruthTimeline]:
    """The truth on the topics ``<prefix>/<task>`` of a bag; tasks without such a topic are left out.

    What their messages mean, see `step_ros.frames.bags.labels`.

    Raises:
        BagError: it is no bag, or a message cannot be read.
    """
    found: dict[str, TruthTimeline] = {}
    with closing(open_bag(bag)) as storage:
        for name, topic in storage.topics.items():
            task = name.removeprefix(prefix.rstrip("/") + "/")
            if task == name:
                continue
            if task not in tasks:
                _log.warning(
                    "%s: nobody answers the task of %s; heads answer %s", bag, name, ", ".join(tasks)
                )
            elif topic.msgtype not in LABEL_TYPES:
                _log.warning("%s: %s is %s, not %s", bag, name, topic.msgtype, " or ".join(LABEL_TYPES))
            else:
                found[task] = TruthTimeline(read_label_changes(storage, name))
    return found


def read_truth_csv(
    path: Path, start_ns: int, tasks: Collection[str], *, recording: Path | None = None
) -> dict[str, TruthTimeline]:
    """The truth in a csv with the columns start, end and one a task; between its rows nobody knows.

    A csv of clips to train on will do: of several in its column `video`, the rows of this recording are read.

    Args:
        path: the csv; `start` and `end` are seconds from the first image on.
        start_ns: the first image's stamp.
        tasks: those that heads answer.
        recording: the bag's folder or file; without one the csv must tell of one video.

    Raises:
        TruthError: the file cannot be read, a column or value is missing, a time is no number, a row ends
            before it starts or overlaps the one before, no column is one of the tasks, or of several videos
            none is the recording.
    """
    try:
        table = read_segments_csv(path)
    except SegmentsCsvError as error:
        raise TruthError(str(error)) from error
    for note in table.notes:
        _log.warning("%s", note)
    named = [column for column in table.columns if column not in FIXED_COLUMNS]
    known = [column for column in named if column in tasks]
    if not {"start", "end"} <= set(table.columns) or not known:
        raise TruthError(
            f"{path}:{1 + len(table.comments)}: columns are {', '.join(table.columns) or 'missing'}; "
            f"expected start, end (seconds from the first image) and at least one of {', '.join(tasks)}"
        )
    if set(named) - set(known):
        _log.warning("%s: nobody answers the columns %s", path, ", ".join(sorted(set(named) - set(known))))
    changes: dict[str, list[tuple[int, str]]] = {task: [] for task in known}
    last_end = -math.inf
    for row in sorted(_rows_of(path, table, recording), key=lambda row: _seconds(path, row, "start")):
        start, end = (_seconds(path, row, column) for column in ("start", "end"))
        if not last_end <= start < end:
            raise TruthError(
                f"{path}:{row.line}: from {start} to {end} s; a row must end after it starts, and the one "
                f"before ends at {last_end} s"
            )
        last_end = end
        for task in known:
            changes[task].append((start_ns + round(start * 1e9), row.cells[task] or UNLABELLED))
            changes[task].append((start_ns + round(end * 1e9), UNLABELLED))
    return {task: TruthTimeline(changes[task]) for task in known}


def _rows_of(path: Path, table: SegmentsCsv, recording: Path | None) -> list[SegmentRow]:
    """All rows, if they tell of one video or do not say of which; else those of the recording."""
    videos = sorted({row.cells.get("video", "") for row in table.rows})
    if len(videos) < 2:
        return table.rows
    named: list[str] = []
    if recording is not None:
        place = os.path.abspath(recording)
        there = [video for video in videos if os.path.abspath(path.parent / video) == place]
        named = there or [video for video in videos if _name(video) == _name(place)]
    if len(named) != 1:
        raise TruthError(
            f"{path} tells of {len(videos)} videos; expected one, or one that leads to the recording "
            f"({recording or 'there is none'}) or has its name, found {len(named)}"
        )
    return [row for row in table.rows if row.cells["video"] == named[0]]


def _name(video: str) -> str:
    """A bag's name: its folder's, and its file's without the ending."""
    path = Path(video)
    return path.stem if path.suffix in (".mcap", ".db3") else path.name


def _seconds(path: Path, row: SegmentRow, column: str) -> float:
    try:
        return seconds(row.cells[column])
    except ValueError as error:
        raise TruthError(
            f"{path}:{row.line}: {column} must be a number of seconds, found {row.cells[column]!r}"
        ) from error


def _faults(run: Run, truth: dict[str, TruthTimeline]) -> list[str]:
    """What keeps the truth from being used as it is, a sentence each; empty if nothing does."""
    found = []
    first_ns, last_ns = run.span_ns
    for task, timeline in truth.items():
        known = [change for change in timeline.changes if change.label != UNLABELLED]
        unknown = sorted({change.label for change in known} - set(run.tasks[task].labels))
        if unknown:
            found.append(f"{task}: the head has no label {', '.join(unknown)}; updates then count as wrong")
        if not known:
            found.append(f"{task}: the truth names no label at all")
        elif not timeline.overlaps(first_ns, last_ns):
            begin, end = ((ns - first_ns) / 1e9 for ns in (known[0].onset_ns, timeline.changes[-1].onset_ns))
            found.append(
                f"{task}: the truth, from {begin:.1f} s to {end:.1f} s after the first image, does not "
                f"overlap the images, which span {(last_ns - first_ns) / 1e9:.1f} s; have both one clock?"
            )
    return found


def usable_truth(
    run: Run, truth: dict[str, TruthTimeline], *, required: bool = False
) -> dict[str, TruthTimeline]:
    """The truth that overlaps a run; of what does not fit, a warning.

    Raises:
        TruthError: some is required, and there is none.
    """
    wrong = _faults(run, truth)
    for sentence in wrong:
        _log.warning("%s", sentence)
    usable = {task: timeline for task, timeline in truth.items() if timeline.overlaps(*run.span_ns)}
    if required and not usable:
        raise TruthError("; ".join(wrong))
    return usable
