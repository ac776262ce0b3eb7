"""When labels are fresh, when they are stale, and why."""

from __future__ import annotations

import pytest

from step_ros.perception import Freshness
from step_ros.perception.freshness import FreshnessLimits, Withheld, Withholding

LIMITS = FreshnessLimits(timeout_s=0.7, max_age_s=1.0)
NOW_NS = 1_700_000_000_000_000_000


@pytest.fixture
def freshness() -> Freshness:
    """Started at 100 s, with 2 s to fill the first window."""
    freshness = Freshness()
    freshness.start(100.0, grace_s=2.0)
    return freshness


def admit(freshness: Freshness, now_s: float, age_s: float = 0.1, delay_s: float = 0.0) -> bool:
    """An image that is received `age_s` after its stamp, and whose labels take `delay_s`."""
    receipt_ns = NOW_NS - round(delay_s * 1e9)
    return freshness.admit(now_s, receipt_ns - round(age_s * 1e9), receipt_ns, NOW_NS, LIMITS)


def test_the_first_labels_are_waited_for(freshness: Freshness) -> None:
    assert not freshness.check(101.9, LIMITS) and freshness.state == "waiting"
    assert admit(freshness, 101.95) and freshness.state == "fresh"


def test_first_labels_that_do_not_come_are_told_once(freshness: Freshness) -> None:
    assert freshness.check(102.1, LIMITS)
    assert freshness.state == "stale" and freshness.silence(102.1) == pytest.approx(2.1)
    assert not freshness.check(103.0, LIMITS)
    assert freshness.lapses == 1


def test_labels_that_stop_are_stale_and_the_next_one_is_fresh(freshness: Freshness) -> None:
    admit(freshness, 101.0)
    assert not freshness.check(101.65, LIMITS)
    assert freshness.check(101.8, LIMITS)
    assert admit(freshness, 101.9)
    assert freshness.state == "fresh" and freshness.silence(101.9) == 0


def test_after_a_pause_the_image_from_before_it_brings_no_labels_back(freshness: Freshness) -> None:
    admit(freshness, 101.0)
    assert freshness.check(101.8, LIMITS)
    assert not admit(freshness, 101.9, delay_s=0.85), "it had waited for the next one to come"
    assert freshness.state == "stale" and freshness.withheld[Withholding.FROM_BEFORE] == 1
    assert admit(freshness, 102.0, delay_s=0.3) and freshness.state == "fresh"
    assert admit(freshness, 102.1, delay_s=0.85), "as long as labels go out, what is late is late"


@pytest.mark.parametrize(
    ("age_s", "delay_s", "cause"),
    [
        (1.2, 0.0, Withholding.OLD_STAMP),
        (-1.5, 0.0, Withholding.STAMP_AHEAD),
        (0.1, 1.0, Withholding.OWN_DELAY),
        (0.9, 0.2, Withholding.OLD_STAMP),
        (-0.3, 1.4, Withholding.OWN_DELAY),
        (5.0, 6.0, Withholding.OLD_STAMP),
    ],
    ids=[
        "behind the clock",
        "ahead of it",
        "in time, and the node is slow",
        "almost too old, and the node is a little slow",
        "a little ahead, and the node is slow",
        "too old, and the node is slow besides",
    ],
)
def test_labels_of_old_images_are_not_let_through_and_the_cause_is_told_apart(
    freshness: Freshness, age_s: float, delay_s: float, cause: Withholding
) -> None:
    admit(freshness, 101.0)
    assert not admit(freshness, 101.1, age_s, delay_s)
    assert freshness.state == "stale" and freshness.withheld == {cause: 1}
    stamp_ns = NOW_NS - round(delay_s * 1e9) - round(age_s * 1e9)
    assert freshness.last_withheld[cause] == Withheld(stamp_ns, age_s, delay_s, LIMITS.max_age_s)
    assert admit(freshness, 101.2) and freshness.state == "fresh"


def test_with_no_age_allowed_stamps_are_not_compared(freshness: Freshness) -> None:
    assert freshness.admit(101.0, 5, NOW_NS, NOW_NS, FreshnessLimits(timeout_s=0.7, max_age_s=0.0))


def test_a_start_forgets_what_was(freshness: Freshness) -> None:
    admit(freshness, 101.0)
    freshness.check(109.0, LIMITS)
    freshness.start(110.0, grace_s=2.0)
    assert freshness.state == "waiting" and not freshness.check(111.9, LIMITS)


def test_a_clock_that_is_set_back_does_not_keep_old_labels_alive(freshness: Freshness) -> None:
    admit(freshness, 101.0)
    assert not freshness.check(5.0, LIMITS)
    assert freshness.check(5.8, LIMITS)
