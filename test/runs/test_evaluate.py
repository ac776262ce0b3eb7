"""A run's scores, be it a replay or what a listener heard."""

from __future__ import annotations

import json
from typing import Any

import numpy as np
import pytest

from step_ros.frames import ClipSpec
from step_ros.runs.evaluate import evaluate
from step_ros.runs.run import REPLAY, Run, RunTask, RunUpdate
from step_ros.scores.clips import evaluate as evaluate_clips
from step_ros.scores.timeline import TruthChange, TruthTimeline

SECOND = 1_000_000_000
CLIP = ClipSpec(4, 1.0)


def run(**changed: Any) -> Run:
    """Twelve updates that are right, a quarter of a second apart; `changed` in each."""
    told = {
        **{
            "window_start_ns": 0,
            "log_time_ns": 0,
            "compute_ns": 20_000_000,
            "held_positions": 1,
            "changes": (),
        },
        **changed,
    }
    updates = []
    for index in range(12):
        stamp_ns = SECOND + index * CLIP.step_ns
        said = np.array([0.9, 0.1] if index < 6 else [0.1, 0.9], np.float32)
        updates.append(
            RunUpdate(
                stamp_ns=stamp_ns, received_ns=stamp_ns + 50_000_000, probabilities={"action": said}, **told
            )
        )
    return Run(
        said_by=REPLAY,
        recording="",
        image_topic="/camera",
        clip=CLIP,
        span_ns=(0, 4 * SECOND),
        tasks={
            "action": RunTask(("open", "close"), (("open", "close"),), None),
            "object": RunTask(("cup",), (), None),
        },
        truth={"action": TruthTimeline([TruthChange(0, "open"), TruthChange(5 * SECOND // 2, "close")])},
        updates=updates,
    )


def test_scores_of_a_replay() -> None:
    clips = evaluate_clips(np.eye(2), np.eye(2)[::-1], np.arange(2), ["open", "close"], [("open", "close")])
    found = evaluate(run(), {"action": clips})
    assert (found.updates, found.coverage, found.hold_share) == (12, pytest.approx(12 / 13), 0.25)
    assert (found.latency_ms.p50, found.compute_ms.p99) == (pytest.approx(50), pytest.approx(20))
    assert list(found.tasks) == ["action"]  # nobody knows the truth of the other
    assert (found.tasks["action"].accuracy, found.tasks["action"].map) == (1.0, 1.0)
    assert found.tasks["action"].clips == clips
    written = json.loads(json.dumps(found.to_json(), allow_nan=False))
    assert written["tasks"]["action"]["clips"]["reversed_to_partner"] == 1.0
    assert written["coverage"] == 0.9231


def test_what_a_listener_does_not_know_is_null_and_all_else_is_scored() -> None:
    heard = evaluate(run(window_start_ns=None, compute_ns=None, held_positions=None)).to_json()
    assert heard["tasks"]["action"]["clips"] is None
    known = evaluate(run()).to_json()
    assert heard == known | {"hold_share": None, "compute_ms": {"p50": None, "p99": None}}
