"""Pace, of a node that tells all and of one that is only listened to."""

from __future__ import annotations

import pytest

from step_ros.scores.pace import Percentiles, evaluate, percentiles_ms

STAMPS = [0, 100_000_000, 200_000_000, 300_000_000]
RECEIVED = [stamp + 50_000_000 for stamp in STAMPS]


def test_pace_of_a_replay() -> None:
    found = evaluate(
        *(STAMPS, RECEIVED),
        grid_times=8,
        compute_ns=[4_000_000, 1_000_000, 3_000_000, 2_000_000],
        held_shares=[0.0, 0.0, 0.0, 0.5],
    )
    assert (found.updates, found.updates_per_second, found.coverage) == (4, pytest.approx(10), 0.5)
    assert (found.hold_share, found.latency_ms.p50, found.compute_ms.p50) == (0.125, 50.0, 2.5)


def test_what_a_listener_cannot_know_is_none() -> None:
    found = evaluate(STAMPS, RECEIVED, grid_times=8, compute_ns=[None] * 4, held_shares=[None] * 4)
    assert (found.hold_share, found.compute_ms) == (None, Percentiles(None, None))
    assert found.latency_ms.p99 == pytest.approx(50.0)


def test_without_updates_there_is_nothing_to_count() -> None:
    found = evaluate([], [], grid_times=-3, compute_ns=[], held_shares=[])
    assert (found.updates, found.updates_per_second, found.coverage, found.hold_share) == (0, None, 0.0, None)
    assert found.latency_ms == Percentiles(None, None)


def test_percentiles_interpolate() -> None:
    assert percentiles_ms([4_000_000, 1_000_000, 3_000_000, 2_000_000]) == Percentiles(
        2.5, pytest.approx(3.97)
    )
    assert percentiles_ms([1_000_000]) == Percentiles(1.0, 1.0)


def test_an_update_has_a_stamp_and_a_receipt() -> None:
    with pytest.raises(ValueError, match="got 4 and 3"):
        evaluate(STAMPS, RECEIVED[1:], grid_times=1, compute_ns=[], held_shares=[])
