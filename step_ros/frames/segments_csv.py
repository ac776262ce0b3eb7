"""A csv of segments: what happens in a recording from when to when, a line each.

UTF-8, with or without a byte order mark; commas, and quotes as csv has them; lines that begin with `#` may
stand above the header. The columns `video`, `start`, `end` and `split` say which stretch of what a line is
of, any other is a task, and a cell is the label. Spaces around a name or a cell are none of it, and a blank
cell says nothing.
"""

from __future__ import annotations

import csv
import io
import itertools
import math
from dataclasses import dataclass
from pathlib import Path

FIXED_COLUMNS = ("video", "start", "end", "split")
"""The columns that are no task."""


class SegmentsCsvError(ValueError):
    """The file is no csv that can be read; the message names it, and the line."""


@dataclass(frozen=True)
class SegmentRow:
    """One line."""

    line: int
    """Its number in the file, from 1; of a row with line breaks in quotes, that of the last."""
    cells: dict[str, str]
    """By column, every one of the header's; empty where the line says nothing."""


@dataclass(frozen=True)
class SegmentsCsv:
    """A csv of segments as it stands in a file."""

    comments: list[str]
    """The lines above the header, each with its `#`."""
    columns: list[str]
    """The header; empty if the file is."""
    rows: list[SegmentRow]
    """The lines below it, in the file's order."""


def read_segments_csv(path: Path) -> SegmentsCsv:
    """Read a csv of segments; what its columns must be, and what a line may say, is the caller's to judge.

    Raises:
        SegmentsCsvError: the file cannot be read, or is no csv.
    """
    try:
        text = path.read_bytes().decode("utf-8-sig")
    except (OSError, UnicodeDecodeError) as error:
        raise SegmentsCsvError(f"{path} cannot be read: {error}") from error
    lines = list(io.StringIO(text, newline=""))
    comments = [line.rstrip() for line in itertools.takewhile(lambda line: line.startswith("#"), lines)]
    reader = csv.reader(lines[len(comments) :], skipinitialspace=True)
    try:
        columns = [name.strip() for name in next(reader, [])]
        rows = []
        for cells in reader:
            if cells:
                padded = itertools.chain(map(str.strip, cells), itertools.repeat(""))
                rows.append(
                    SegmentRow(reader.line_num + len(comments), dict(zip(columns, padded, strict=False)))
                )
    except csv.Error as error:
        raise SegmentsCsvError(f"{path}:{reader.line_num + len(comments)}: no csv: {error}") from error
    return SegmentsCsv(comments, columns, rows)


def seconds(cell: str) -> float:
    """A time, of a cell.

    Raises:
        ValueError: it is no number, or nanoseconds cannot count it.
    """
    value = float(cell)
    if not math.isfinite(value * 1e9):
        raise ValueError(f"expected seconds, found {cell!r}")
    return value
