"""Scores of live labels, on timelines that can be checked by eye."""

from __future__ import annotations

import math

import pytest

from step_ros.scores.timeline import UNLABELLED, TruthChange, TruthTimeline
from step_ros.scores.updates import (
    Onsets,
    PairedScores,
    Update,
    accuracy,
    evaluate,
    latencies_ms,
    onsets,
    pair_accuracy,
    pair_confusion,
    rate_hz,
)

SECOND = 1_000_000_000


def update(label: str, stamp_s: float, late_s: float = 0.1) -> Update:
    stamp_ns = round(stamp_s * SECOND)
    return Update("action", label, 0.9, stamp_ns, stamp_ns + round(late_s * SECOND))


def timeline(*changes: tuple[float, str]) -> TruthTimeline:
    return TruthTimeline(TruthChange(round(onset * SECOND), label) for onset, label in changes)


TRUTH = timeline((1, "open"), (3, "idle"), (4, "close"), (6, UNLABELLED))


def test_unlabelled_time_is_not_scored() -> None:
    updates = [update("open", 0.5), update("open", 2.0), update("close", 3.5), update("close", 8.0)]
    assert accuracy(updates, TRUTH) == 0.5
    assert math.isnan(accuracy([update("open", 0.5)], TRUTH))
    assert math.isnan(accuracy([], TRUTH))


def test_pair_accuracy_asks_only_where_the_truth_is_in_a_pair() -> None:
    updates = [update("open", 1.5), update("open", 3.5), update("open", 4.5), update("close", 5.0)]
    assert pair_accuracy(updates, TRUTH, [("open", "close")]) == pytest.approx(2 / 3)
    assert math.isnan(pair_accuracy(updates, TRUTH, []))


def test_an_onset_is_noticed_by_the_first_update_that_says_so() -> None:
    updates = [update("open", 0.5), update("idle", 1.2), update("open", 1.6, 0.2), update("open", 1.7)]
    found = onsets(updates, TRUTH, ignored=["idle"])
    assert found.delays_s == pytest.approx((0.8,))
    assert found.missed == 1  # close
    assert found.detected == 0.5


def test_an_onset_that_is_noticed_when_it_is_over_was_missed() -> None:
    assert onsets([update("open", 3.1)], TRUTH, ignored=["idle", "close"]) == Onsets((), 1)


def test_the_last_onset_has_no_end() -> None:
    assert onsets([update("close", 9.0, 0.5)], timeline((4, "close"))).median_s == pytest.approx(5.5)


def test_onsets_of_several_tasks_add_up() -> None:
    both = Onsets((1.0, 3.0), 1) + Onsets((2.0,), 0)
    assert (both.median_s, both.detected) == (2.0, 0.75)
    assert math.isnan(Onsets((), 0).median_s) and math.isnan(Onsets((), 0).detected)


def test_latency_is_receipt_minus_stamp() -> None:
    assert latencies_ms([update("open", 1.0, 0.05)]) == pytest.approx([50.0])


def test_rate_counts_intervals() -> None:
    assert rate_hz([0, SECOND // 2, SECOND]) == 2.0
    assert math.isnan(rate_hz([5]))


def test_each_of_a_pair_is_told_as_itself_its_partner_or_anything_else() -> None:
    updates = [update(label, 1.1 + 0.1 * i) for i, label in enumerate(["open", "close", "idle", "open"])]
    assert pair_confusion(updates, TRUTH, ("open", "close")) == {
        "open": PairedScores(updates=4, right=0.5, partner=0.25, other=0.25),
        "close": PairedScores(updates=0, right=None, partner=None, other=None),
    }
    assert pair_confusion(updates, TRUTH, ("push", "pull")) is None


def test_all_scores_at_once() -> None:
    updates = [update("open", 0.5), update("open", 2.0), update("idle", 3.5), update("open", 4.5)]
    found = evaluate(updates, TRUTH, [("open", "close")], idle=["idle"], span_ns=(0, 5 * SECOND))
    assert (found.labelled_updates, found.labelled_seconds) == (3, 4.0)
    assert (found.accuracy, found.symmetric, found.non_symmetric) == (pytest.approx(2 / 3), 0.5, 1.0)
    assert (found.onsets.count, found.onsets.detected) == (2, 0.5)
    assert found.onsets.delay_s == pytest.approx(1.1)


def test_without_updates_there_is_nothing_to_count() -> None:
    found = evaluate([], timeline(), span_ns=(0, SECOND))
    assert (found.labelled_updates, found.accuracy, found.symmetric, found.onsets.delay_s) == (0, *[None] * 3)


def test_tasks_are_not_mixed() -> None:
    other = Update("object", "cup", 0.9, SECOND, SECOND)
    with pytest.raises(ValueError, match="those of action, object"):
        evaluate([update("open", 1.5), other], TRUTH, span_ns=(0, SECOND))
