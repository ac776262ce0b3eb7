"""Labels over time, on timelines that can be checked by eye."""

from __future__ import annotations

import pytest

from step_ros.scores.timeline import UNLABELLED, Segment, TruthChange, TruthTimeline

SECOND = 1_000_000_000


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


def test_segments_are_stretches_of_known_labels() -> None:
    assert timeline((1, "open"), (3, ""), (4, "close")).segments(5 * SECOND) == [
        Segment("open", SECOND, 3 * SECOND),
        Segment("close", 4 * SECOND, 5 * SECOND),
    ]


def test_labelled_time_is_what_lies_between() -> None:
    assert TRUTH.labelled_ns(2 * SECOND, 60 * SECOND) == 4 * SECOND
    assert timeline().labelled_ns(0, SECOND) == 0
