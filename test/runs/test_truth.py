"""What is true in a recording: the same labels to a replay as to training."""

from __future__ import annotations

from pathlib import Path

from step_ros.frames.bags.messages import classification, string
from step_ros.frames.bags.writing import new_bag
from step_ros.runs.truth import read_truth_topics
from step_ros.scores.updates import TruthChange


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
