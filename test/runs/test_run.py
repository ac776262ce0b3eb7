"""A run's folder reads back as it was, whether a replay or a live node filled it."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from step_ros.frames import ClipSpec
from step_ros.perception import Direction, StableLabel
from step_ros.runs.run import (
    LIVE,
    PREDICTIONS_JSONL,
    Run,
    RunError,
    RunTask,
    RunUpdate,
    read_run,
    update_line,
    write_run,
)
from step_ros.scores.timeline import TruthChange, TruthTimeline

NAN = float("nan")


@pytest.fixture
def live() -> Run:
    """Two updates of a node that names its best label; the second task is silent at first."""
    rows = [([NAN, 0.75], [NAN, NAN]), ([0.5, NAN], [0.25, NAN])]
    updates = [
        RunUpdate(
            stamp_ns=i,
            received_ns=i + 5,
            log_time_ns=i + 5,
            probabilities={"action": np.float32(action), "object": np.float32(thing)},
            changes=(StableLabel("action", "open", 0.5, i),) if i else (),
            directions=(Direction("action", "open", "close", 0.5, True),) if i else (),
        )
        for i, (action, thing) in enumerate(rows)
    ]
    return Run(
        said_by=LIVE,
        recording="",
        image_topic="/camera/image_raw",
        clip=ClipSpec(8, 0.8),
        tasks={"action": RunTask(("idle", "open"), (), "idle"), "object": RunTask(("cup", "box"))},
        span_ns=(0, 1),
        truth={"action": TruthTimeline([TruthChange(0, "open")])},
        updates=updates,
        settings={"models": ["a"], "filter.threshold": 0.5},
        frames={"received": 2, "encoded": 2},
        warnings=["a warning"],
        facts={"engine": "eager"},
    )


def save(run: Run, folder: Path) -> None:
    write_run(run, folder)
    (folder / PREDICTIONS_JSONL).write_text("".join(update_line(update) + "\n" for update in run.updates))


def test_what_nobody_knows_stays_unknown(live: Run, tmp_path: Path) -> None:
    save(live, tmp_path)
    read = read_run(tmp_path)
    for ours, theirs in zip(live.updates, read.updates, strict=True):
        for task in live.tasks:
            np.testing.assert_array_equal(ours.probabilities[task], theirs.probabilities[task])
        assert (theirs.compute_ns, theirs.held_positions, theirs.window_start_ns) == (None, None, None)
        assert (ours.changes, ours.directions) == (theirs.changes, theirs.directions)
    assert (read.settings, read.frames, read.warnings, read.facts) == (
        live.settings,
        live.frames,
        live.warnings,
        live.facts,
    )
    assert read.tasks == live.tasks and read.truth["action"].changes == live.truth["action"].changes


def test_a_silent_task_has_no_update(live: Run) -> None:
    assert [(u.label, u.confidence) for u in live.updates_of("action")] == [("open", 0.75), ("idle", 0.5)]
    assert [u.stamp_ns for u in live.updates_of("object")] == [1]
    assert live.announced_of("action") == ["", "open"] and live.announced_of("object") == [""]


def test_a_live_window_ends_with_its_stamp(live: Run) -> None:
    perception = live.perception(live.updates[1])
    assert perception.window_start_ns == 1 - live.clip.window_ns
    assert perception.predictions["object"].probabilities.tolist() == [0.25, 0.0]
    assert "object" not in live.perception(live.updates[0]).predictions


def test_a_folder_that_was_not_finished_says_so(live: Run, tmp_path: Path) -> None:
    write_run(live, tmp_path)
    with pytest.raises(RunError, match="not the folder of a finished run"):
        read_run(tmp_path)


def test_a_run_of_another_version_says_so(live: Run, tmp_path: Path) -> None:
    save(live, tmp_path)
    path = tmp_path / "run.json"
    path.write_text(path.read_text().replace('"format": 2', '"format": 1'))
    with pytest.raises(RunError, match="of another version, this one reads the format 2"):
        read_run(tmp_path)
