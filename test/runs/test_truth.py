"""What is true in a recording: the same labels to a replay as to training."""

from __future__ import annotations

from pathlib import Path

import pytest

from step_ros.frames.bags.messages import classification, string
from step_ros.frames.bags.writing import new_bag
from step_ros.runs.truth import TruthError, read_truth_csv, read_truth_topics
from step_ros.scores.timeline import TruthChange


def test_topics_below_the_prefix_tell(tmp_path: Path) -> None:
    with new_bag(tmp_path / "bag") as bag:
        bag.write("/truth/motion", 1, classification([("right", 1.0)], 10))
        bag.write("/truth/motion", 2, classification([], 20))
        bag.write("/truth/object", 3, string("cup"))
        bag.write("/elsewhere/motion", 4, string("left"))
    truth = read_truth_topics(tmp_path / "bag", ["motion", "object"])
    assert {task: timeline.changes for task, timeline in truth.items()} == {
        "motion": [TruthChange(10, "right"), TruthChange(20, "")],
        "object": [TruthChange(3, "cup")],
    }
    named = read_truth_topics(tmp_path / "bag", ["motion", "object"], "/elsewhere/")
    assert list(named) == ["motion"]


def test_answers_are_truth_to_who_names_them(tmp_path: Path) -> None:
    with new_bag(tmp_path / "bag") as bag:
        for topic in ("/perception/motion", "/perception/motion/stable"):
            bag.write(topic, 1, classification([("right", 0.8)], 10))
    assert read_truth_topics(tmp_path / "bag", ["motion"]) == {}
    named = read_truth_topics(tmp_path / "bag", ["motion"], "/perception")
    assert named["motion"].at(10) == "right"


def csv_truth(path: Path, text: str, recording: Path | None = None) -> dict[str, list[tuple[float, str]]]:
    """By task, when a label begins, in seconds."""
    path.write_text(text, encoding="utf-8")
    truth = read_truth_csv(path, 0, ["motion", "object"], recording=recording)
    return {
        task: [(change.onset_ns / 1e9, change.label) for change in timeline.changes]
        for task, timeline in truth.items()
    }


def test_rows_are_segments_in_any_order(tmp_path: Path) -> None:
    text = "start,end,motion,object\n3,4.5,left,\n1,3,right,cup\n"
    assert csv_truth(tmp_path / "truth.csv", text) == {
        "motion": [(1.0, "right"), (3.0, "left"), (4.5, "")],
        "object": [(1.0, "cup"), (3.0, "")],
    }


def test_what_a_training_csv_may_hold_truth_may_hold(tmp_path: Path) -> None:
    text = "\ufeff# motion: right <-> left\nstart, end , motion\n 1 ,2, right \n"
    assert csv_truth(tmp_path / "truth.csv", text) == {"motion": [(1.0, "right"), (2.0, "")]}


def test_how_an_uncertain_csv_is_read_is_said(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    path = tmp_path / "truth.csv"
    path.write_bytes("start;end;motion\n0,5;2;öffnen\n".encode("latin-1"))
    (task,) = read_truth_csv(path, 0, ["motion"]).values()
    assert task.at(int(1e9)) == "öffnen"
    assert "truth.csv:2: not UTF-8; read as Latin-1" in caplog.text


def test_a_file_that_is_no_csv_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(TruthError, match=r"truth\.csv:2: no csv"):
        csv_truth(tmp_path / "truth.csv", "start,end,motion\n" + "x" * 140_000)


CLIPS = "video,start,end,split,motion\n{},0,1,train,right\n{},0,2,test,left\n"


@pytest.mark.parametrize(
    ("videos", "recording"),
    [
        pytest.param(("other", "bags/monday"), "bags/monday", id="a path from the csv"),
        pytest.param(("other", "monday.mcap"), "bags/monday", id="the name of its file"),
        pytest.param(("other", "monday"), "bags/monday/monday.mcap", id="the name of its folder"),
        pytest.param(("old/monday", "bags/monday"), "bags/monday", id="two of its name, one of them there"),
    ],
)
def test_of_a_training_csv_the_rows_of_the_recording_are_read(
    videos: tuple[str, str], recording: str, tmp_path: Path
) -> None:
    truth = csv_truth(tmp_path / "clips.csv", CLIPS.format(*videos), tmp_path / recording)
    assert truth == {"motion": [(0.0, "left"), (2.0, "")]}


def test_the_only_video_of_a_training_csv_may_have_any_name(tmp_path: Path) -> None:
    text = "video,start,end,motion\nfilm.mp4,0,1,right\nfilm.mp4,1,2,left\n"
    truth = csv_truth(tmp_path / "clips.csv", text)
    assert truth == {"motion": [(0.0, "right"), (1.0, "left"), (2.0, "")]}


@pytest.mark.parametrize(
    ("videos", "recording", "count"),
    [
        pytest.param(("a", "b"), "bags/monday", 0, id="none of its name"),
        pytest.param(("a/monday", "b/monday"), "bags/monday", 2, id="two of its name"),
        pytest.param(("a", ""), None, 0, id="no recording"),
    ],
)
def test_a_training_csv_of_other_recordings_is_an_error(
    videos: tuple[str, str], recording: str | None, count: int, tmp_path: Path
) -> None:
    with pytest.raises(TruthError, match=rf"2 videos; expected one, .* found {count}$"):
        csv_truth(tmp_path / "clips.csv", CLIPS.format(*videos), Path(recording) if recording else None)
