"""When labels are fresh, when they are stale, and why."""

from __future__ import annotations

import pytest

from step_ros.perception import Freshness
from step_ros.perception.freshness import FreshnessLimits

LIMITS = FreshnessLimits(timeout_s=0.7, max_age_s=1.0)
NOW_NS = 1_700_000_000_000_000_000


@pytest.fixture
def freshness() -> Freshness:
    """Started at 100 s, with 2 s to fill the first window."""
    freshness = Freshness()
    freshness.start(100.0, grace_s=2.0)
    return freshness


def admit(freshness: Freshness, now_s: float, age_s: float = 0.1) -> bool:
    return freshness.admit(now_s, NOW_NS - round(age_s * 1e9), NOW_NS, LIMITS)


def test_the_first_labels_are_waited_for(freshness: Freshness) -> None:
    assert not freshness.check(101.9, LIMITS) and freshness.state == "waiting"
    assert admit(freshness, 101.95) and freshness.state == "fresh"


def test_first_labels_that_do_not_come_are_told_once(freshness: Freshness) -> None:
    assert freshness.check(102.1, LIMITS)
    assert freshness.state == "stale" and freshness.reason == "no label for 2.1 s"
    assert not freshness.check(103.0, LIMITS)
    assert freshness.lapses == 1


def test_labels_that_stop_are_stale_and_the_next_one_is_fresh(freshness: Freshness) -> None:
    admit(freshness, 101.0)
    assert not freshness.check(101.65, LIMITS)
    assert freshness.check(101.8, LIMITS)
    assert admit(freshness, 101.9)
    assert freshness.state == "fresh" and freshness.reason == ""


@pytest.mark.parametrize(
    ("age_s", "words"),
    [(1.2, ["1.2 s old", "use_sim_time"]), (-1.5, ["1.5 s ahead", "synchronise"])],
    ids=["behind the clock", "ahead of it"],
)
def test_stamps_far_from_the_clock_are_not_let_through(
    freshness: Freshness, age_s: float, words: list[str]
) -> None:
    admit(freshness, 101.0)
    assert not admit(freshness, 101.1, age_s)
    assert freshness.state == "stale"
    for word in words:
        assert word in freshness.reason and word in freshness.misdated
    assert admit(freshness, 101.2) and freshness.misdated == ""


def test_with_no_age_allowed_stamps_are_not_compared(freshness: Freshness) -> None:
    assert freshness.admit(101.0, 5, NOW_NS, FreshnessLimits(timeout_s=0.7, max_age_s=0.0))


def test_a_start_forgets_what_was(freshness: Freshness) -> None:
    admit(freshness, 101.0)
    freshness.check(109.0, LIMITS)
    freshness.start(110.0, grace_s=2.0)
    assert freshness.state == "waiting" and not freshness.check(111.9, LIMITS)


def test_a_clock_that_is_set_back_does_not_keep_old_labels_alive(freshness: Freshness) -> None:
    admit(freshness, 101.0)
    assert not freshness.check(5.0, LIMITS)
    assert freshness.check(5.8, LIMITS)
