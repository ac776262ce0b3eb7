"""The demo, with small models: exit code, the run and page that it leaves, what counts as a failure."""

from __future__ import annotations

import signal
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from step_ros.frames import ClipSpec, read_video
from step_ros.ros.demo import shortcomings
from step_ros.ros.frame_books import unaccounted_frames
from step_ros.runs.run import LIVE, Run, RunTask, RunUpdate, read_run
from step_ros.scores.timeline import TruthChange, TruthTimeline


@pytest.fixture(scope="module")
def demo(module_graph: Any, recording: Any, models: Any, tmp_path_factory: pytest.TempPathFactory) -> Any:
    output = tmp_path_factory.mktemp("demo") / "output"
    arguments = ["--bag", recording.path, "--output", output, "--models", *models.heads]
    process = module_graph.start("step_ros.ros.demo", *arguments)
    code = process.wait()
    return SimpleNamespace(code=code, said=process.output, output=output)


def test_it_succeeds_and_says_what_it_found(demo: Any) -> None:
    assert demo.code == 0, demo.said
    for word in ("atomic_action", "object", "latency", "frames", "report.html"):
        assert word in demo.said


def test_it_leaves_a_run_of_every_frame(demo: Any, models: Any, recording: Any) -> None:
    run = read_run(demo.output)
    assert run.said_by == LIVE
    assert {task: described.labels for task, described in run.tasks.items()} == models.labels
    assert run.tasks["atomic_action"].symmetric_pairs and run.tasks["atomic_action"].idle_label == "idle"
    assert set(run.truth) == set(models.labels)
    assert unaccounted_frames(run.frames, len(recording.stamps_ns)) == 0
    assert {"received", "encoded", "dropped.overload", "dropped.corrupt_compressed"} <= set(run.frames)
    assert run.facts["engine"].partition(",")[0] in (
        "tensorrt",
        "inductor",
        "openvino",
        "onnxruntime",
        "eager",
    )
    assert {"step_ros", "python", "torch", "rclpy", "rmw"} <= set(run.facts["versions"])


def test_the_film_is_in_the_page_and_in_the_video(demo: Any, recording: Any) -> None:
    assert "data:image/jpeg" in (demo.output / "report.html").read_text()
    frames = list(read_video(demo.output / "annotated.mp4"))
    assert frames[0].rgb.shape == (480, 640, 3)
    # The picture repeats every 200 columns, but where the truth is written: on darker ground at the left.
    truth, beside = (frames[-1].rgb[329:347, left : left + 8].mean() for left in (0, 600))
    assert truth < 0.6 * beside
    assert frames[-1].stamp_ns / 1e9 > 0.5 * len(recording.stamps_ns) / 30


def test_a_node_that_dies_fails_the_demo(graph: Any, recording: Any, models: Any, tmp_path: Path) -> None:
    arguments = ["--bag", recording.path, "--output", tmp_path, "--models", models.foreign_head]
    process = graph.start("step_ros.ros.demo", *arguments)
    assert process.wait() == 1
    assert "FAILED" in process.output and "node died" in process.output
    assert "was trained on the backbone" in process.output  # the node's own last words
    assert "Traceback" not in process.output
    assert not (tmp_path / "run.json").exists()


def test_stopped_it_ends_what_it_has_started(graph: Any, recording: Any, models: Any, tmp_path: Path) -> None:
    arguments = ["--bag", recording.path, "--output", tmp_path, "--models", *models.heads]
    process = graph.start("step_ros.ros.demo", *arguments)
    graph.wait_for(lambda: "atomic_action" in process.output, "labels")
    pid = process.popen.pid
    children = Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
    assert len(children) == 2
    process.signal(signal.SIGINT)
    process.signal(signal.SIGINT)
    assert graph.spin_until_exit(process) == 130, process.output
    assert "demo: stopped" in process.output and "Traceback" not in process.output
    assert not any(Path("/proc", child).exists() for child in children)


BALANCED = {"received": 9, "lost_before_receipt": 1, "encoded": 4, "skipped_by_sampling": 4}


@pytest.mark.parametrize(
    ("frames", "published", "unaccounted"),
    [
        ({**BALANCED, "dropped.overload": 1}, 10, 0),
        ({**BALANCED, "pending": 1}, 10, 0),
        (BALANCED, 10, 1),
        ({**BALANCED, "pending": 1}, 12, 2),
        ({}, 3, 3),
    ],
    ids=[
        "a drop with a cause",
        "one waits for its grid time",
        "no fate",
        "lost on the way",
        "no diagnostics",
    ],
)
def test_frames_without_a_fate_are_found(frames: dict[str, int], published: int, unaccounted: int) -> None:
    assert unaccounted_frames(frames, published) == unaccounted


def run_of(*labels: str, truth: str = "push") -> Run:
    """A run in which these were said, one a nanosecond."""
    known = ("idle", "push", "pull")
    updates = [
        RunUpdate(i, i, i, {"action": np.float32([label == each for each in known])}, ())
        for i, label in enumerate(labels)
    ]
    return Run(
        LIVE,
        "",
        "/camera",
        ClipSpec(8, 0.8),
        {"action": RunTask(known, idle_label="idle")},
        truth={"action": TruthTimeline([TruthChange(0, truth)])},
        updates=updates,
        frames={**BALANCED, "pending": 1},
    )


@pytest.mark.parametrize(
    ("run", "word"),
    [
        (run_of(), "no label ever came"),
        (run_of("idle", "pull"), "nothing was recognised"),
        (run_of("idle", truth="idle"), "nothing was recognised"),
    ],
    ids=["silence", "all wrong", "idle only"],
)
def test_a_demo_that_recognised_nothing_has_failed(run: Run, word: str) -> None:
    (sentence,) = shortcomings(run, 10)
    assert word in sentence


def test_a_demo_that_recognised_something_has_not() -> None:
    assert shortcomings(run_of("idle", "push"), 10) == []
