"""One task's scores, all of them, on a recording of four updates."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from step_ros.scores.live import LiveAnswers, LiveScores, evaluate
from step_ros.scores.score import described, value_at
from step_ros.scores.timeline import TruthChange, TruthTimeline
from step_ros.scores.updates import Update

SECOND = 1_000_000_000
LABELS = ("idle", "open", "close")
TRUTH = TruthTimeline([TruthChange(0, "idle"), TruthChange(2 * SECOND, "open"), TruthChange(5 * SECOND, "")])
ROWS = [
    np.array(row, np.float32) for row in ([0.8, 0.1, 0.1], [0.2, 0.3, 0.5], [0.1, 0.7, 0.2], [0.6, 0.3, 0.1])
]
SAID = LiveAnswers(
    updates=[
        Update("action", label, 0.5, stamp * SECOND, stamp * SECOND + SECOND // 10)
        for label, stamp in (("idle", 1), ("close", 2), ("open", 3), ("idle", 6))
    ],
    probabilities=ROWS,
    announced=["", "idle", "open", "open"],
    stable=TruthTimeline([TruthChange(2 * SECOND, "idle"), TruthChange(3 * SECOND, "open")]),
)


def scores(said: LiveAnswers = SAID) -> LiveScores:
    return evaluate(said, TRUTH, LABELS, [("open", "close")], idle_label="idle", span_ns=(0, 6 * SECOND))


def test_every_kind_of_score_is_there() -> None:
    found = scores()
    assert (found.labelled_updates, found.labelled_seconds) == (3, 5.0)
    assert (found.accuracy, found.symmetric) == (pytest.approx(2 / 3), 0.5)
    assert found.onsets.delay_s == pytest.approx(1.1)
    assert found.map == 1.0  # the true label is ranked first, though it is not always said
    assert (found.edit, found.f1_at_50) == (0.5, pytest.approx(2 / 3))  # close, open for open
    assert found.flips_per_minute == pytest.approx(1 / 4 * 60)
    assert found.stable.accuracy == 0.5
    assert found.clips is None


def test_of_the_likeliest_labels_alone_all_but_the_ranking_is_known() -> None:
    best = [np.where(row == row.max(), row, np.nan) for row in ROWS]
    heard = scores(replace(SAID, probabilities=best))
    assert heard.map is None
    assert replace(heard, map=scores().map) == scores()


def test_nothing_said_is_scored_too() -> None:
    found = scores(LiveAnswers([], [], [], TruthTimeline([]))).to_json()
    assert (found["labelled_updates"], found["onsets"]) == (0, {"count": 1, "detected": 0.0, "delay_s": None})
    counted = {"labelled_updates", "labelled_seconds", "onsets.count", "onsets.detected"}
    counted |= {f"stable.{key}" for key in counted if key.startswith("onsets")}
    for key in described(LiveScores).keys() - counted - {"stable.false_starts_per_minute"}:
        assert value_at(found, key) is None, key


def test_what_does_not_go_together_is_an_error() -> None:
    with pytest.raises(ValueError, match=r"got \(4, 3, 4\)"):
        scores(replace(SAID, probabilities=ROWS[1:]))
    with pytest.raises(ValueError, match=r"3 labels are needed, got \[\(2,\)\]"):
        scores(replace(SAID, probabilities=[row[:2] for row in ROWS]))
