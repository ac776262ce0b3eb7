"""How calm labels are, on timelines that can be checked by eye."""

from __future__ import annotations

import pytest

from step_ros.scores.stability import evaluate, false_starts_per_minute, flips_per_minute
from step_ros.scores.timeline import TruthChange, TruthTimeline
from step_ros.scores.updates import OnsetScores

SECOND = 1_000_000_000


def timeline(*changes: tuple[float, str]) -> TruthTimeline:
    return TruthTimeline(TruthChange(round(onset * SECOND), label) for onset, label in changes)


TRUTH = timeline((0, "idle"), (10, "open"), (20, "idle"), (30, ""))


def test_a_change_with_the_truth_is_no_flip() -> None:
    stamps = [s * SECOND for s in (8, 9, 11, 12, 13)]
    labels = ["idle", "idle", "open", "close", "open"]
    # Two flips in the 22 seconds from the first update to the truth's end.
    assert flips_per_minute(labels, stamps, TRUTH, 30 * SECOND) == pytest.approx(2 / 22 * 60)
    assert flips_per_minute([], [], TRUTH, 30 * SECOND) is None


def test_a_false_start_is_a_label_that_never_was_true_meanwhile() -> None:
    stable = timeline((2, "close"), (4, "idle"), (11, "open"), (19, "close"), (21, ""))
    # The first `close` and the second; `open` was true; `idle` starts nothing.
    assert false_starts_per_minute(stable, TRUTH, 0, 30 * SECOND, ["idle"]) == pytest.approx(2 / 30 * 60)


def test_stable_labels_of_unlabelled_time_are_nobodys_fault() -> None:
    stable = timeline((40, "close"), (50, ""))
    assert false_starts_per_minute(stable, TRUTH, 0, 60 * SECOND) == 0.0


def test_all_scores_at_once() -> None:
    stamps = [s * SECOND for s in (8, 9, 11, 12)]
    found = evaluate(
        ["idle", "open", "open", "close"],
        ["", "idle", "idle", "open"],
        *(stamps, timeline((9, "idle"), (12, "open")), TRUTH, OnsetScores(1, 1.0, 2.0)),
        idle=["idle"],
        span_ns=(0, 30 * SECOND),
    )
    assert found.flips_per_minute == pytest.approx(2 / 22 * 60)
    assert (found.stable.accuracy, found.stable.coverage) == (pytest.approx(2 / 3), 0.75)
    assert found.stable.flips_per_minute == pytest.approx(2 / 22 * 60)  # the first label of all is one
    assert found.stable.false_starts_per_minute == 0.0
    assert (found.stable.held, found.stable.turns_per_minute) == (0.5, 0.0)


def test_a_turn_is_from_one_action_to_another() -> None:
    stamps = [s * SECOND for s in (11, 12, 13, 14, 15)]
    labels = ["idle", "open", "close", "", "open"]
    # To idle and to none it may go; from `open` to `close` it may not.
    turns = flips_per_minute(labels, stamps, TRUTH, 30 * SECOND, ["idle", ""])
    assert turns == pytest.approx(1 / 19 * 60)


def test_a_label_without_a_stamp_is_an_error() -> None:
    with pytest.raises(ValueError, match="2 labels and 1 stamps"):
        flips_per_minute(["idle", "open"], [0], TRUTH, SECOND)
