"""A csv of segments: what is read of a file, and the line that is named when it is none."""

from __future__ import annotations

from pathlib import Path

import pytest

from step_ros.frames.segments_csv import SegmentRow, SegmentsCsv, SegmentsCsvError, read_segments_csv, seconds


def read(folder: Path, content: str | bytes) -> SegmentsCsv:
    path = folder / "segments.csv"
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    return read_segments_csv(path)


def test_rows_have_their_line_and_a_cell_for_every_column(tmp_path: Path) -> None:
    found = read(
        tmp_path, "# by hand\n# verb: open <-> shut\nvideo,start,verb\n\na,0,open\nb\n# a break\nc,1,shut,,\n"
    )
    assert found.comments == ["# by hand", "# verb: open <-> shut", "# a break"]
    assert found.columns == ["video", "start", "verb"]
    assert found.rows == [
        SegmentRow(5, {"video": "a", "start": "0", "verb": "open"}),
        SegmentRow(6, {"video": "b", "start": "", "verb": ""}),
        SegmentRow(8, {"video": "c", "start": "1", "verb": "shut"}),
    ]


@pytest.mark.parametrize(
    "content",
    [
        pytest.param(b"\xef\xbb\xbfstart,verb\n1,open\n", id="a byte order mark"),
        pytest.param(b"start,verb\r\n1,open\r\n", id="the line ends of Windows"),
        pytest.param(b"start,verb\r1,open\r", id="the line ends of old Macs"),
        pytest.param(b" start , verb\n 1,  open \n", id="spaces around names and cells"),
        pytest.param(b"start;verb\n1;open\n", id="semicolons"),
        pytest.param(b"start\tverb\n1\topen\n", id="tabs"),
        pytest.param("start,verb\n1,open\n".encode("utf-16"), id="UTF-16"),
        pytest.param(b"# words\n\nstart,verb\n1,open\n", id="an empty line above the header"),
        pytest.param(b",start,verb\n0,1,open\n", id="a column that numbers the lines"),
        pytest.param(b"START,verb\n1,open\n", id="capitals"),
        pytest.param(b'"start","verb"\n"1", "open"\n', id="quotes"),
        pytest.param(b"start,verb\n\n1,open\n\n", id="empty lines"),
        pytest.param(b"start,verb\n,\n1,open\n , \n", id="lines of empty cells"),
        pytest.param(b"start,verb\n1,open", id="no line end at the end"),
    ],
)
def test_the_same_whoever_wrote_it(content: bytes, tmp_path: Path) -> None:
    found = read(tmp_path, content)
    assert found.columns == ["start", "verb"]
    assert [row.cells for row in found.rows] == [{"start": "1", "verb": "open"}]


def test_a_file_without_a_header(tmp_path: Path) -> None:
    path = tmp_path / "segments.csv"
    path.write_text("a,open\nb\n")
    found = read_segments_csv(path, header=("video", "verb"))
    assert found.rows == [
        SegmentRow(1, {"video": "a", "verb": "open"}),
        SegmentRow(2, {"video": "b", "verb": ""}),
    ]


def test_quotes_hold_commas(tmp_path: Path) -> None:
    found = read(tmp_path, 'video,verb\n"tues, day.mp4","open, wide"\nb,shut\n')
    assert [(row.line, row.cells["verb"]) for row in found.rows] == [(2, "open, wide"), (3, "shut")]
    assert found.rows[0].cells["video"] == "tues, day.mp4"


@pytest.mark.parametrize(
    "label", ["open\nwide", "open\twide", "open\0wide", "\x1b[31mopen", "open\u202eediw"]
)
def test_a_label_that_is_no_plain_text_is_named_with_its_line(label: str, tmp_path: Path) -> None:
    with pytest.raises(SegmentsCsvError, match=r":[34]: .*(U\+000A|U\+0009|U\+0000|U\+001B|U\+202E|NUL)"):
        read(tmp_path, f'video,verb\na,shut\nb,"{label}"\n')


@pytest.mark.parametrize("content", ["", "# only words\n"])
def test_a_file_of_nothing_has_no_columns(content: str, tmp_path: Path) -> None:
    assert read(tmp_path, content).columns == []


def test_what_is_no_csv_is_named_with_its_line(tmp_path: Path) -> None:
    with pytest.raises(SegmentsCsvError, match=r"segments\.csv:4: no csv: field larger"):
        read(tmp_path, "# words\nvideo,verb\na,open\nb," + "x" * 140_000)
    with pytest.raises(SegmentsCsvError, match=r"segments\.csv cannot be read: .*utf-8"):
        read(tmp_path, b"video,verb\na,\xff\0\n")
    with pytest.raises(
        SegmentsCsvError, match=r"segments\.csv:3, 5: more cells than the 2 columns; put a cell"
    ):
        read(tmp_path, "video,verb\na,open\nb,open,wide\nc,shut,,\nd,open,,wide\n")
    with pytest.raises(SegmentsCsvError, match=r"segments\.csv:2, 3, 4, 5, 6, 7, 8, 9, 10 and 11 more: more"):
        read(tmp_path, "video,verb\n" + "b,open,wide\n" * 20)
    with pytest.raises(SegmentsCsvError, match="the header has columns twice: verb"):
        read(tmp_path, "video,verb,verb\na,open,open\n")
    with pytest.raises(SegmentsCsvError, match="column 2 has no name in the header"):
        read(tmp_path, "video,,verb\na,x,open\n")
    with pytest.raises(SegmentsCsvError, match=r"nowhere\.csv cannot be read"):
        read_segments_csv(tmp_path / "nowhere.csv")


def test_what_is_not_quite_a_csv_is_read_and_noted(tmp_path: Path) -> None:
    found = read(tmp_path, "video,verb\na,öffnen\n".encode("latin-1"))
    assert found.rows[0].cells["verb"] == "öffnen"
    assert found.notes[0].endswith("segments.csv:2: not UTF-8; read as Latin-1")
    assert "numbers the lines, is left out" in read(tmp_path, ",verb\n7,open\n8,shut\n").notes[0]
    assert read(tmp_path, "video,verb\na,b\n".encode("utf-16")).notes[0].endswith(": read as UTF-16")
    (note,) = read(tmp_path, "# verb, one\nvideo,verb\na,open\n#1.mp4,shut\n# words\n").notes
    assert note.endswith("segments.csv:4: looks like a row, but begins with #: taken for a comment")
    comma = read(tmp_path, "start;end;verb\n1,5;2,5;a,b\n").rows[0].cells
    assert comma == {"start": "1.5", "end": "2.5", "verb": "a,b"}


@pytest.mark.parametrize(
    ("cell", "expected"), [("1:02.5", 62.5), ("0:00", 0.0), ("01:00:01", 3601.0), ("75", 75.0)]
)
def test_times_with_colons(cell: str, expected: float) -> None:
    assert seconds(cell) == expected


@pytest.mark.parametrize("cell", ["1:75", "1:2:3:4", "a:01", "1:-5", "-1:05", "", ":", "1,5"])
def test_what_is_no_time(cell: str) -> None:
    with pytest.raises(ValueError):
        seconds(cell)


def test_seconds_are_finite_numbers() -> None:
    assert seconds("1e2") == 100.0
    for cell in ("", "one", "nan", "inf", "1e300"):
        with pytest.raises(ValueError):
            seconds(cell)
