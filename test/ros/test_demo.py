"""The demo, with small models: exit code, summary, video and bag; and what counts as a failure."""

from __future__ import annotations

import json
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import cv2
import pytest

from step_ros.frames import read_video, typestore
from step_ros.frames.bags.storage import open_bag
from step_ros.probes import HeadConfig
from step_ros.ros.demo_summary import shortcomings, unaccounted_frames
from step_ros.scores.timeline import TruthChange
from step_ros.scores.updates import Update


@pytest.fixture(scope="module")
def demo(module_graph: Any, recording: Any, models: Any, tmp_path_factory: pytest.TempPathFactory) -> Any:
    output = tmp_path_factory.mktemp("demo") / "output"
    arguments = ["--bag", recording.path, "--output", output, "--models", *models.heads]
    process = module_graph.start("step_ros.ros.demo", *arguments)
    code = process.wait()
    summary = output / "summary.json"
    return SimpleNamespace(
        code=code,
        said=process.output,
        output=output,
        summary=json.loads(summary.read_text()) if summary.exists() else {},
    )


def test_it_succeeds_and_says_what_it_found(demo: Any) -> None:
    assert demo.code == 0, demo.said
    for word in ("atomic_action", "object", "latency", "frames", "summary.json"):
        assert word in demo.said


def test_the_summary_tells_what_was_measured(demo: Any, models: Any, recording: Any) -> None:
    summary = demo.summary
    assert set(summary["accuracy"]) == set(models.labels)
    assert set(summary["pair_accuracy"]) == {"atomic_action"}
    # The heads always say the same, which is true for one second or two of four.
    assert 0 < summary["accuracy"]["atomic_action"] < 1
    assert 0 < summary["pair_accuracy"]["atomic_action"] < 1
    assert 0 < summary["onset_delay_s"] < 4
    assert 0 < summary["latency_ms"]["p50"] <= summary["latency_ms"]["p99"]
    assert summary["updates_per_second"] > 0
    assert summary["engine"] in ("tensorrt", "inductor", "openvino", "onnxruntime", "eager")
    assert {"step_ros", "python", "torch", "rclpy", "rmw"} <= set(summary["versions"])


def test_every_frame_is_in_the_summary(demo: Any, recording: Any) -> None:
    frames = demo.summary["frames"]
    assert frames["published"] == len(recording.stamps_ns)
    assert unaccounted_frames(frames) == 0
    assert {"received", "encoded", "dropped.overload", "dropped.corrupt_compressed"} <= set(frames)


def test_the_video_can_be_watched(demo: Any, recording: Any) -> None:
    frames = list(read_video(demo.output / "annotated.mp4"))
    assert frames[0].rgb.shape == (480, 640, 3)
    assert len(frames) == pytest.approx(len(recording.stamps_ns), abs=2)
    capture = cv2.VideoCapture(str(demo.output / "annotated.mp4"))
    assert capture.get(cv2.CAP_PROP_FPS) == 30
    capture.release()


def test_the_predictions_can_be_read_from_a_bag(demo: Any, models: Any) -> None:
    bag = open_bag(demo.output / "predictions")
    topic = "/perception/object"
    labels = [
        typestore().deserialize_cdr(cdr, "vision_msgs/msg/Classification") for _, cdr in bag.messages(topic)
    ]
    names = set(bag.topics)
    bag.close()
    assert len(labels) == demo.summary["updates"]["object"]
    assert {label.results[0].class_id for label in labels} == {models.sure_of["object"]}
    assert {f"/perception/{task}{suffix}" for task in models.labels for suffix in ("", "/labels")} <= names


def test_a_node_that_dies_fails_the_demo(graph: Any, recording: Any, models: Any, tmp_path: Path) -> None:
    arguments = ["--bag", recording.path, "--output", tmp_path, "--models", models.foreign_head]
    process = graph.start("step_ros.ros.demo", *arguments)
    assert process.wait() == 1
    assert "FAILED" in process.output and "node died" in process.output
    assert "was trained on the backbone" in process.output  # the node's own last words
    assert "Traceback" not in process.output
    assert not (tmp_path / "summary.json").exists()


HEAD = SimpleNamespace(idle_label="idle")
BALANCED = {"published": 10, "received": 9, "lost_before_receipt": 1, "encoded": 4, "skipped_by_sampling": 4}


def client(*labels: str, truth: str = "push") -> Any:
    """What a planner has after updates with these labels."""
    updates = [Update("action", label, 0.9, index, index) for index, label in enumerate(labels)]
    return SimpleNamespace(
        tasks=["action"], updates={"action": updates}, truth={"action": [TruthChange(0, truth)]}
    )


@pytest.mark.parametrize(
    ("frames", "unaccounted"),
    [
        ({**BALANCED, "dropped.overload": 1}, 0),
        ({**BALANCED, "pending": 1}, 0),
        (BALANCED, 1),
        ({**BALANCED, "published": 12, "pending": 1}, 2),
        ({"published": 3}, 3),
    ],
    ids=[
        "a drop with a cause",
        "one waits for its grid time",
        "no fate",
        "lost on the way",
        "no diagnostics",
    ],
)
def test_frames_without_a_fate_are_found(frames: dict[str, int], unaccounted: int) -> None:
    assert unaccounted_frames(frames) == unaccounted


@pytest.mark.parametrize(
    ("planner", "word"),
    [
        (client(), "no label ever came"),
        (client("idle", "pull"), "nothing was recognised"),
        (client("idle", truth="idle"), "nothing was recognised"),
    ],
    ids=["silence", "all wrong", "idle only"],
)
def test_a_demo_that_recognised_nothing_has_failed(planner: Any, word: str) -> None:
    heads: dict[str, HeadConfig] = {"action": HEAD}  # type: ignore[dict-item]
    (sentence,) = shortcomings(planner, heads, {**BALANCED, "pending": 1})
    assert word in sentence


def test_a_demo_that_recognised_something_has_not() -> None:
    assert shortcomings(client("idle", "push"), {"action": HEAD}, {**BALANCED, "pending": 1}) == []
