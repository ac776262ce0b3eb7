"""Clip lists: what is read, and how each thing that is wrong is named with its line."""

from __future__ import annotations

from pathlib import Path

import pytest

from step_ros.training.datasets import ClipsError, read_dataset
from step_ros.training.datasets.clips_csv import read_clips_csv

HEADER = "video,start,end,split,verb\n"


def write(folder: Path, text: str) -> Path:
    path = folder / "clips.csv"
    path.write_text(text)
    return path


def test_reads_clips_relative_to_the_csv(tmp_path: Path) -> None:
    (clip,) = read_clips_csv(write(tmp_path, HEADER + "a/b.mp4,0.5,2,val,open\n")).clips
    assert clip.video == tmp_path / "a/b.mp4"
    assert (clip.start, clip.end, clip.split, clip.labels) == (0.5, 2.0, "validation", {"verb": "open"})
    assert clip.where == "clips.csv:2"


def test_start_end_and_split_may_be_missing_or_empty(tmp_path: Path) -> None:
    (clip,) = read_clips_csv(write(tmp_path, "video,verb,noun\na.mp4,open,\n")).clips
    assert (clip.start, clip.end, clip.split, clip.labels) == (0.0, None, "", {"verb": "open"})
    (clip,) = read_clips_csv(write(tmp_path, "video,start,end,verb\na.mp4,1.5,,open\n")).clips
    assert (clip.start, clip.end) == (1.5, None)


def test_other_columns_are_tasks_unless_tasks_are_chosen(tmp_path: Path) -> None:
    path = write(tmp_path, "video,scene,verb,instruction\na.mp4,kitchen,open,open it\n")
    assert set(read_clips_csv(path).tasks) == {"scene", "verb", "instruction"}
    chosen = read_clips_csv(path, tasks=["verb"], group="scene")
    assert set(chosen.tasks) == {"verb"}
    assert chosen.clips[0].group == "kitchen"


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("video,start,end,split\na,0,1,train\n", r"clips\.csv:1: columns .* a task"),
        ("film,verb\na,open\n", r"clips\.csv:1: columns are film, verb; expected video and a task"),
        (HEADER, "no clips"),
        ("", "no clips"),
        (HEADER + "a.mp4,2,1,train,open\n", r"clips\.csv:2: a clip must end after"),
    ],
)
def test_a_csv_of_which_nothing_can_be_used_is_an_error(tmp_path: Path, text: str, message: str) -> None:
    with pytest.raises(ClipsError, match=message):
        read_clips_csv(write(tmp_path, text))


@pytest.mark.parametrize(
    ("line", "problem"),
    [
        ("b.mp4,zero,1,train,open", "clips.csv:3: start and end must be seconds, found 'zero', '1'"),
        ("b.mp4,2,1,train,open", "clips.csv:3: a clip must end after it starts, found 2 to 1 s"),
        ("b.mp4,0,nan,train,open", "clips.csv:3: start and end must be seconds, found '0', 'nan'"),
        ("b.mp4,0,inf,train,open", "clips.csv:3: start and end must be seconds, found '0', 'inf'"),
        ("b.mp4,0,1,train,", "clips.csv:3: no value for verb"),
        (",0,1,train,open", "clips.csv:3: no value for video"),
        ("b.mp4,0,1", "clips.csv:3: no value for verb"),
    ],
)
def test_a_line_that_is_wrong_is_named_and_the_rest_is_read(tmp_path: Path, line: str, problem: str) -> None:
    clip_set = read_clips_csv(write(tmp_path, HEADER + f"a.mp4,0,1,train,open\n{line}\n"))
    assert [clip.where for clip in clip_set.clips] == ["clips.csv:2"]
    assert clip_set.problems == [problem]


@pytest.mark.parametrize(
    ("column", "cell", "meant"),
    [("start_time", "1.5", "start"), ("Start (s)", "0:01.5", "start"), ("t_end", "3", "end"),
     ("to", "3", "end"), ("offset_sec", "3", "end"), ("end_frame", "75", "start and end, in seconds"),
     ("frame_start", "75", "start and end, in seconds"), ("start_ms", "1500", "start and end, in seconds"),
     ("subset", "Train", "split")],
)  # fmt: skip
def test_columns_of_times_and_splits_by_another_name(
    column: str, cell: str, meant: str, tmp_path: Path
) -> None:
    path = write(tmp_path, f"video,{column},verb\na.mp4,{cell},open\n")
    with pytest.raises(ClipsError, match="would be a task: call it " + meant):
        read_clips_csv(path)
    chosen = read_clips_csv(path, tasks=["verb"])
    (note,) = chosen.notes
    assert f"the column {column!r} holds " in note and note.endswith(f"is not read; to be read it is {meant}")
    assert read_clips_csv(path, tasks=[column]).tasks[column].labels == [cell]


def test_columns_that_only_sound_like_times(tmp_path: Path) -> None:
    path = write(tmp_path, "video,from,frame,phase\na.mp4,box,left,begin\nb.mp4,shelf,right,train\n")
    assert list(read_clips_csv(path).tasks) == ["from", "frame", "phase"]


def test_a_file_that_is_no_csv_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(ClipsError, match=r"clips\.csv:2: no csv"):
        read_clips_csv(write(tmp_path, HEADER + "x" * 140_000))


def test_missing_videos_and_overlaps_are_named(tmp_path: Path) -> None:
    (tmp_path / "a.mp4").touch()
    rows = ["a.mp4,0,2,train,open", "a.mp4,1,3,train,close", "a.mp4,2,4,train,close", "no.mp4,0,1,train,open"]
    clip_set = read_dataset(write(tmp_path, HEADER + "\n".join(rows)))
    assert [clip.where for clip in clip_set.clips] == ["clips.csv:2", "clips.csv:4"]
    assert sorted(clip_set.problems) == [
        "clips.csv:3: 1.0 to 3.0 seconds overlaps 0.0 to 2.0 (clips.csv:2); left out",
        f"clips.csv:5: there is no {tmp_path / 'no.mp4'}",
    ]


def test_of_many_problems_the_first_are_named(tmp_path: Path) -> None:
    with pytest.raises(ClipsError, match=r"clips\.csv:10: there is no [^\n]*\nand 11 more$"):
        read_dataset(write(tmp_path, HEADER + "no.mp4,0,1,train,open\n" * 20))


def test_missing_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(ClipsError, match="nowhere.csv"):
        read_dataset(tmp_path / "nowhere.csv")


TWO = "a.mp4,0,1,train,open\na.mp4,1,2,train,close\n"


def test_pairs_are_proposed_where_nothing_says_more(tmp_path: Path) -> None:
    task = read_clips_csv(write(tmp_path, HEADER + TWO)).tasks["verb"]
    assert (task.labels, task.symmetric_pairs, task.idle) == (["close", "open"], [("close", "open")], None)


def test_pairs_may_stand_above_the_header(tmp_path: Path) -> None:
    comment = "# made by hand\n# verb: wave <-> open\n"
    path = write(tmp_path, comment + HEADER + TWO + "a.mp4,2,3,train,wave\na.mp4,9,8,train,open\n")
    clip_set = read_clips_csv(path)
    assert clip_set.tasks["verb"].symmetric_pairs == [("wave", "open")]
    assert clip_set.problems == ["clips.csv:7: a clip must end after it starts, found 9 to 8 s"]


def test_yaml_gives_order_pairs_and_idle(tmp_path: Path) -> None:
    path = write(tmp_path, HEADER + TWO)
    path.with_suffix(".yaml").write_text(
        "verb:\n  labels: [none, open, close]\n  symmetric_pairs: [[open, close]]\n  idle: none\n"
    )
    task = read_clips_csv(path).tasks["verb"]
    assert (task.labels, task.symmetric_pairs, task.idle) == (
        ["none", "open", "close"],
        [("open", "close")],
        "none",
    )
    path.with_suffix(".yaml").write_text("verb: {symmetric_pairs: []}\n")
    assert read_clips_csv(path).tasks["verb"].symmetric_pairs == []


def test_a_yaml_by_its_other_suffix(tmp_path: Path) -> None:
    path = write(tmp_path, HEADER + TWO)
    path.with_suffix(".yml").write_text("verb: {symmetric_pairs: []}\n")
    assert read_clips_csv(path).tasks["verb"].symmetric_pairs == []
    path.with_suffix(".yaml").touch()
    with pytest.raises(ClipsError, match=r"clips\.yaml and clips\.yml both describe clips\.csv; keep one"):
        read_clips_csv(path)


def test_a_task_that_the_yaml_misspells(tmp_path: Path) -> None:
    path = write(tmp_path, HEADER + TWO)
    path.with_suffix(".yaml").write_text("vreb: {}\n")
    with pytest.raises(ClipsError, match="describes vreb; the csv has .*; did you mean 'verb'"):
        read_clips_csv(path)


def test_a_class_that_the_yaml_does_not_know_is_named(tmp_path: Path) -> None:
    path = write(tmp_path, HEADER + TWO)
    path.with_suffix(".yaml").write_text("verb: {labels: [close, shut]}")
    clip_set = read_clips_csv(path)
    assert clip_set.problems == ["clips.csv:2: verb has no class 'open'"]
    assert [clip.where for clip in clip_set.clips] == ["clips.csv:3"]
    path.with_suffix(".yaml").write_text("verb: {labels: [dance]}")
    with pytest.raises(
        ClipsError, match=r"no clips that can be used\nclips\.csv:2: verb has no class 'open'"
    ):
        read_clips_csv(path)


@pytest.mark.parametrize(
    "text", ["noun: {}", "verb: {symmetric_pairs: [[open, shut]]}", "verb: {idle: rest}", "verb: [", "verb"]
)
def test_yaml_that_does_not_match_is_an_error(tmp_path: Path, text: str) -> None:
    path = write(tmp_path, HEADER + TWO)
    path.with_suffix(".yaml").write_text(text)
    with pytest.raises(ClipsError, match=r"clips\.yaml"):
        read_clips_csv(path)
