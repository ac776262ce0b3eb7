"""A csv of segments: what happens in a recording from when to when, a line each.

UTF-8, with or without a byte order mark, or UTF-16 with one; commas, semicolons or tabs, and quotes as csv
has them; lines that begin with `#` may stand anywhere. The columns `video`, `start`, `end` and `split`, in
capitals or not, say which stretch of what a line is of, any other is a task, and a cell is the label. Spaces
around a name or a cell are none of it, and a blank cell or line says nothing. Times are seconds, 62.5, or
1:02.5; also 62,5 where no comma parts the cells. What is read otherwise than as UTF-8 is noted.
"""

from __future__ import annotations

import codecs
import csv
import io
import itertools
import math
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

from step_ros.frames.plain_text import unprintable

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
    """The lines of words, each with its `#`."""
    columns: list[str]
    """The header; empty if the file is."""
    rows: list[SegmentRow]
    """The lines below it, in the file's order."""
    notes: list[str] = field(default_factory=list)
    """What was made of the file that is not quite a csv, and may be wrong."""


def read_segments_csv(path: Path, header: Sequence[str] = ()) -> SegmentsCsv:
    """Read a csv of segments; what its columns must be, and what a line may say, is the caller's to judge.

    Args:
        path: the file.
        header: what its columns are, if the file has none that says so.

    Raises:
        SegmentsCsvError: the file cannot be read or is no csv, columns share a name or have none, or lines
            have more cells than there are columns.
    """
    notes: list[str] = []
    lines = list(io.StringIO(_text(path, notes), newline=""))
    comments = {number: line for number, line in enumerate(lines) if line.startswith("#")}
    first = next((line for number, line in enumerate(lines) if number not in comments and line.strip()), "")
    delimiter = max(",;\t", key=first.count)  # of equals the first
    # A comment stands as an empty line, so that those after it keep their numbers.
    reader = csv.reader(
        ("\n" if number in comments else line for number, line in enumerate(lines)),
        delimiter=delimiter,
        skipinitialspace=True,
    )
    columns = list(header)
    rows = []
    surplus = []
    try:
        for cells in (list(map(str.strip, row)) for row in reader):
            if not any(cells):
                continue
            if not columns:
                columns = [name.lower() if name.lower() in FIXED_COLUMNS else name for name in cells]
                continue
            if any(cells[len(columns) :]):
                surplus.append(reader.line_num)
            padded = itertools.chain(cells, itertools.repeat(""))
            rows.append(SegmentRow(reader.line_num, dict(zip(columns, padded, strict=False))))
    except csv.Error as error:
        raise SegmentsCsvError(f"{path}:{reader.line_num}: no csv: {error}") from error
    if surplus:
        raise SegmentsCsvError(
            f"{path}:{_numbers(surplus)}: more cells than the {len(columns)} columns; put a cell that holds "
            f"{delimiter!r} in quotes"
        )
    for row in rows:
        for column, cell in row.cells.items():
            if wrong := unprintable(cell) or unprintable(column):
                raise SegmentsCsvError(f"{path}:{row.line}: {column!r} is {cell!r}, which holds {wrong}")
    _without_an_index(path, columns, rows, notes)
    data = [n + 1 for n, line in comments.items() if line.count(delimiter) == len(columns) - 1 > 0]
    if like_rows := [number for number in data if rows and number > rows[0].line]:
        notes.append(
            f"{path}:{_numbers(like_rows)}: looks like a row, but begins with #: taken for a comment"
        )
    if delimiter != ",":
        for row in rows:
            for column in ("start", "end"):
                row.cells.update({column: row.cells[column].replace(",", ".")} if column in row.cells else {})
    return SegmentsCsv([line.rstrip() for line in comments.values()], columns, rows, notes)


def _numbers(lines: Sequence[int]) -> str:
    """Numbers of lines; of many, the first."""
    more = f" and {len(lines) - 9} more" if len(lines) > 9 else ""
    return ", ".join(map(str, lines[:9])) + more


def _text(path: Path, notes: list[str]) -> str:
    try:
        content = path.read_bytes()
        if content.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)):
            notes.append(f"{path}: read as UTF-16")
            return content.decode("utf-16")
        try:
            return content.decode("utf-8-sig")
        except UnicodeDecodeError as error:
            if b"\0" in content:
                raise
            line = content.count(b"\n", 0, error.start) + 1
            notes.append(f"{path}:{line}: not UTF-8; read as Latin-1")
            return content.decode("latin-1")
    except (OSError, UnicodeDecodeError) as error:
        raise SegmentsCsvError(f"{path} cannot be read: {error}") from error


def _without_an_index(path: Path, columns: list[str], rows: list[SegmentRow], notes: list[str]) -> None:
    """Take away a column without a name that only numbers the lines, or is empty.

    Raises:
        SegmentsCsvError: it holds something else, or columns share a name.
    """
    twice = sorted({name for name in columns if columns.count(name) > 1})
    if twice:
        named = ", ".join(name or "one without a name" for name in twice)
        raise SegmentsCsvError(f"{path}: the header has columns twice: {named}")
    if "" in columns:
        cells = [row.cells.pop("") for row in rows]
        first = int(cells[0]) if cells and cells[0].isdecimal() else 0
        if any(cells) and cells != [str(first + number) for number in range(len(cells))]:
            raise SegmentsCsvError(f"{path}: column {columns.index('') + 1} has no name in the header")
        columns.remove("")
        notes.append(f"{path}: a column without a name, which only numbers the lines, is left out")


def seconds(cell: str) -> float:
    """A time, of a cell: seconds, or minutes and seconds, or hours, minutes and seconds, between colons.

    Raises:
        ValueError: it is no time, or nanoseconds cannot count it.
    """
    *above, last = cell.split(":")
    if len(above) > 2 or any(not part.isdecimal() for part in above):
        raise ValueError(f"expected seconds, found {cell!r}")
    value = float(last)
    if above and not 0 <= value < 60:
        raise ValueError(f"expected seconds, found {cell!r}")
    for power, part in enumerate(reversed(above), start=1):
        value += 60**power * int(part)
    if not math.isfinite(value * 1e9):
        raise ValueError(f"expected seconds, found {cell!r}")
    return value
