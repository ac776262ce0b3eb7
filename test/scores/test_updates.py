"""Scores of live labels, on timelines that can be checked by eye."""

from __future__ import annotations

import math

import pytest

from step_ros.scores.updates import (
    UNLABELLED,
    Onsets,
    TruthChange,
    TruthTimeline,
    Update,
    accuracy,
    latencies_ms,
    onsets,
    pair_accuracy,
    percentile,
    rate_hz,
)

SECOND = 1_000_000_000


def update(label: str, stamp_s: float, late_s: float = 0.1) -> Update:
    stamp_ns = round(stamp_s * SECOND)
    return Update("action", label, 0.9, stamp_ns, stamp_ns + round(late_s * SECOND))


def timeline(*changes: tuple[float, str]) -> TruthTimeline:
    return TruthTimeline(TruthChange(round(onset * SECOND), label) for onset, label in changes)


TRUTH = timeline((1, "open"), (3, "idle"), (4, "close"), (6, UNLABELLED))


@pytest.mark.parametrize(
    ("stamp_s", "label"),
    [(0.9, UNLABELLED), (1.0, "open"), (2.999, "open"), (3.0, "idle"), (5.9, "close"), (7.0, UNLABELLED)],
)
def test_truth_holds_from_its_onset_to_the_next_one(stamp_s: float, label: str) -> None:
    assert TRUTH.at(round(stamp_s * SECOND)) == label


def test_truth_is_put_in_order_and_repetitions_are_no_changes() -> None:
    shuffled = timeline((4, "close"), (1, "open"), (2, "open"))
    assert [change.label for change in shuffled.changes] == ["open", "close"]
    assert shuffled.changes[0].onset_ns == SECOND


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


def test_percentiles_interpolate() -> None:
    assert percentile([4.0, 1.0, 3.0, 2.0], 50) == 2.5
    assert percentile([1.0], 99) == 1.0
    assert math.isnan(percentile([], 50))
    with pytest.raises(ValueError, match="100"):
        percentile([1.0], 101)


def test_rate_counts_intervals() -> None:
    assert rate_hz([0, SECOND // 2, SECOND]) == 2.0
    assert math.isnan(rate_hz([5]))
