"""Scores of live labels, on timelines that can be checked by eye."""

from __future__ import annotations

import pytest

from step_ros.scores.timeline import UNLABELLED, TruthChange, TruthTimeline
from step_ros.scores.updates import (
    OnsetScores,
    PairedScores,
    Update,
    UpdateScores,
    evaluate,
    latencies_ms,
    onset_delays_s,
    onset_scores,
    rate_hz,
)

SECOND = 1_000_000_000


def update(label: str, stamp_s: float, late_s: float = 0.1) -> Update:
    stamp_ns = round(stamp_s * SECOND)
    return Update("action", label, 0.9, stamp_ns, stamp_ns + round(late_s * SECOND))


def timeline(*changes: tuple[float, str]) -> TruthTimeline:
    return TruthTimeline(TruthChange(round(onset * SECOND), label) for onset, label in changes)


TRUTH = timeline((1, "open"), (3, "idle"), (4, "close"), (6, UNLABELLED))


def scores(updates: list[Update], *pairs: tuple[str, str]) -> UpdateScores:
    return evaluate(updates, TRUTH, pairs, span_ns=(0, 9 * SECOND))


def test_unlabelled_time_is_not_scored() -> None:
    updates = [update("open", 0.5), update("open", 2.0), update("close", 3.5), update("close", 8.0)]
    assert scores(updates).accuracy == 0.5
    assert scores([update("open", 0.5)]).accuracy is None
    assert scores([]).accuracy is None


def test_pair_accuracy_asks_only_where_the_truth_is_in_a_pair() -> None:
    updates = [update("open", 1.5), update("open", 3.5), update("open", 4.5), update("close", 5.0)]
    assert scores(updates, ("open", "close")).symmetric == pytest.approx(2 / 3)
    assert scores(updates).symmetric is None


def test_an_onset_is_noticed_by_the_first_update_that_says_so() -> None:
    updates = [update("open", 0.5), update("idle", 1.2), update("open", 1.6, 0.2), update("open", 1.7)]
    found = onset_scores(onset_delays_s(updates, TRUTH, ignored=["idle"]))
    assert found == OnsetScores(2, 0.5, pytest.approx(0.8))  # close was missed


def test_an_onset_that_is_noticed_when_it_is_over_was_missed() -> None:
    assert onset_delays_s([update("open", 3.1)], TRUTH, ignored=["idle", "close"]) == [None]


def test_the_last_onset_has_no_end() -> None:
    assert onset_delays_s([update("close", 9.0, 0.5)], timeline((4, "close"))) == pytest.approx([5.5])


def test_the_delay_of_onsets_is_the_median_of_those_that_were_noticed() -> None:
    assert onset_scores([1.0, None, 3.0, 2.0]) == OnsetScores(4, 0.75, 2.0)
    assert onset_scores([]) == OnsetScores(0, None, None)


def test_latency_is_receipt_minus_stamp() -> None:
    assert latencies_ms([update("open", 1.0, 0.05)]) == pytest.approx([50.0])


def test_rate_counts_intervals() -> None:
    assert rate_hz([0, SECOND // 2, SECOND]) == 2.0
    assert rate_hz([5]) is None


def test_each_of_a_pair_is_told_as_itself_its_partner_or_anything_else() -> None:
    updates = [update(label, 1.1 + 0.1 * i) for i, label in enumerate(["open", "close", "idle", "open"])]
    assert scores(updates, ("open", "close"), ("push", "pull")).pairs == {
        "open / close": {
            "open": PairedScores(updates=4, right=0.5, partner=0.25, other=0.25),
            "close": PairedScores(updates=0, right=None, partner=None, other=None),
        },
        "push / pull": None,
    }


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
