"""Clip lists: what is read, and how each thing that is wrong is named with its line."""

from __future__ import annotations

from pathlib import Path

import pytest

from step_ros.training.clips_csv import ClipsError, read_clips, read_tasks

HEADER = "video,start,end,split,verb\n"


def write(folder: Path, text: str) -> Path:
    path = folder / "clips.csv"
    path.write_text(text)
    return path


def test_reads_clips_relative_to_the_csv(tmp_path: Path) -> None:
    (clip,) = read_clips(write(tmp_path, HEADER + "a/b.mp4,0.5,2,train,open\n"))
    assert clip.video == tmp_path / "a/b.mp4"
    assert (clip.start, clip.end, clip.split, clip.labels) == (0.5, 2.0, "train", {"verb": "open"})


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("video,start,end,split\n", r"clips\.csv:1: columns"),
        ("video,verb\na,open\n", r"clips\.csv:1: columns"),
        (HEADER, "no clips"),
        (HEADER + "a.mp4,0,1,train,open\nb.mp4,zero,1,train,open\n", r"clips\.csv:3: start and end"),
        (HEADER + "a.mp4,2,1,train,open\n", r"clips\.csv:2: a clip must end after"),
        (HEADER + "a.mp4,0,nan,train,open\n", r"clips\.csv:2: a clip must end after"),
        (HEADER + "a.mp4,0,1,train,\n", r"clips\.csv:2: no value for verb"),
        (HEADER + "a.mp4,0,1\n", r"clips\.csv:2: no value for split, verb"),
    ],
)
def test_what_is_wrong_is_named(tmp_path: Path, text: str, message: str) -> None:
    with pytest.raises(ClipsError, match=message):
        read_clips(write(tmp_path, text))


def test_missing_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(ClipsError, match="nowhere.csv"):
        read_clips(tmp_path / "nowhere.csv")


def test_tasks_come_from_the_clips_where_no_yaml_says_more(tmp_path: Path) -> None:
    path = write(tmp_path, HEADER + "a.mp4,0,1,train,open\na.mp4,1,2,train,close\n")
    task = read_tasks(path, read_clips(path))["verb"]
    assert (task.labels, task.symmetric_pairs, task.idle) == (["close", "open"], [], None)


def test_yaml_gives_order_pairs_and_idle(tmp_path: Path) -> None:
    path = write(tmp_path, HEADER + "a.mp4,0,1,train,open\na.mp4,1,2,train,close\n")
    path.with_suffix(".yaml").write_text(
        "verb:\n  labels: [none, open, close]\n  symmetric_pairs: [[open, close]]\n  idle: none\n"
    )
    task = read_tasks(path, read_clips(path))["verb"]
    assert (task.labels, task.symmetric_pairs, task.idle) == (
        ["none", "open", "close"],
        [("open", "close")],
        "none",
    )


@pytest.mark.parametrize(
    "text",
    [
        "noun: {}",
        "verb: {labels: [close]}",
        "verb: {symmetric_pairs: [[open, shut]]}",
        "verb: {idle: rest}",
        "verb: [",
    ],
)
def test_yaml_that_does_not_match_is_an_error(tmp_path: Path, text: str) -> None:
    path = write(tmp_path, HEADER + "a.mp4,0,1,train,open\na.mp4,1,2,train,close\n")
    path.with_suffix(".yaml").write_text(text)
    with pytest.raises(ClipsError, match=r"clips\.yaml"):
        read_tasks(path, read_clips(path))
