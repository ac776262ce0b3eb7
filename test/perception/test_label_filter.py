"""The label filter: when a label switches on, when off, and what its onset is."""

from __future__ import annotations

import numpy as np
import pytest

from step_ros.perception import UNKNOWN, FilterSettings, LabelFilter, Prediction, StableLabel

LABELS = ("open", "close")


def make_filter(on_seconds: float, off_seconds: float, threshold: float) -> LabelFilter:
    return LabelFilter(FilterSettings(on_seconds, off_seconds, threshold))


def run(
    label_filter: LabelFilter, probabilities: list[float], *, start: int = 0, rate_hz: int = 10
) -> list[StableLabel]:
    """Feed the probability of "open" (of "close" it is the rest), ten a second; return the changes."""
    changes = []
    for step, probability in enumerate(probabilities, start=start):
        prediction = Prediction("door", LABELS, np.array([probability, 1 - probability], dtype=np.float32))
        change = label_filter.update(step * 1_000_000_000 // rate_hz, prediction)
        if change is not None:
            changes.append(change)
    return changes


def brief(changes: list[StableLabel]) -> list[tuple[str, float]]:
    """Label and onset in seconds."""
    return [(change.label, change.onset_ns / 1e9) for change in changes]


@pytest.mark.parametrize(
    ("probabilities", "expected"),
    [
        ([0.9, 0.9, 0.9], []),
        ([0.9, 0.9, 0.9, 0.9], [("open", 0.0)]),
        ([0.5, 0.9, 0.9, 0.9, 0.9], [("open", 0.1)]),
        ([0.9, 0.9, 0.5, 0.9, 0.9, 0.9], []),
        ([0.6] * 5, []),
        ([0.6] * 6, [(UNKNOWN, 0.0)]),
        ([0.9] * 10, [("open", 0.0)]),
        ([0.9] * 4 + [0.1] * 4, [("open", 0.0), ("close", 0.4)]),
        ([0.9] * 4 + [0.1, 0.9, 0.1, 0.9], [("open", 0.0)]),
        ([0.9] * 4 + [0.5] * 5, [("open", 0.0)]),
        ([0.9] * 4 + [0.5] * 6, [("open", 0.0), (UNKNOWN, 0.4)]),
        ([0.9] * 4 + [0.5] * 5 + [0.9] + [0.5] * 5, [("open", 0.0)]),
        ([0.9] * 4 + [0.5] * 6 + [0.9] * 4, [("open", 0.0), (UNKNOWN, 0.4), ("open", 1.0)]),
    ],
    ids=[
        "not held for long enough",
        "held for on_seconds",
        "the onset is when it came up, not when that was certain",
        "a break starts the count again",
        "below the threshold nothing counts",
        "after off_seconds that is told",
        "a label that goes on is told once",
        "another label takes its place at once, without an off between",
        "flicker changes nothing",
        "off_seconds have not passed",
        "off after off_seconds, with the onset when it faded",
        "coming back in time starts the count again",
        "the same label may come on again",
    ],
)
def test_changes(probabilities: list[float], expected: list[tuple[str, float]]) -> None:
    """A label must hold for 0.3 s at 0.7 or above, and fade for 0.5 s."""
    assert brief(run(make_filter(0.3, 0.5, 0.7), probabilities)) == expected


def test_at_the_threshold_a_label_holds() -> None:
    label_filter = make_filter(0.0, 0.0, 0.75)  # of two halves, so float32 has it exactly
    assert brief(run(label_filter, [0.75, 0.75])) == [("open", 0.0)]
    assert brief(run(label_filter, [0.7499], start=2)) == [(UNKNOWN, 0.2)]


def test_without_delays_and_threshold_every_change_of_label_is_told() -> None:
    changes = run(make_filter(0, 0, 0), [0.9, 0.8, 0.2, 0.7])
    assert brief(changes) == [("open", 0.0), ("close", 0.2), ("open", 0.3)]
    assert changes[0].confidence == pytest.approx(0.9)


def test_delays_are_times_not_numbers_of_predictions() -> None:
    """At 5 and at 50 predictions a second a label comes on at the same time."""
    for rate_hz in (5, 50):
        label_filter = make_filter(0.4, 0.4, 0.7)
        before = round(0.4 * rate_hz)
        assert run(label_filter, [0.9] * before, rate_hz=rate_hz) == []
        assert brief(run(label_filter, [0.9], start=before, rate_hz=rate_hz)) == [("open", 0.0)]


def test_stamps_that_go_back_switch_the_label_off_and_start_afresh() -> None:
    label_filter = make_filter(0.3, 0.5, 0.7)
    run(label_filter, [0.9] * 4, start=100)
    changes = run(label_filter, [0.9] * 6)
    assert brief(changes) == [(UNKNOWN, 0.0), ("open", 0.1)]


def test_stamps_that_go_back_with_nothing_on_are_no_change() -> None:
    label_filter = make_filter(0.3, 0.5, 0.7)
    run(label_filter, [0.9] * 3, start=100)
    assert brief(run(label_filter, [0.9] * 4)) == [("open", 0.0)]


def test_reset_forgets_the_label() -> None:
    label_filter = make_filter(0.3, 0.5, 0.7)
    run(label_filter, [0.9] * 4)
    assert label_filter.label == "open"
    label_filter.reset()
    assert label_filter.label is None
    assert brief(run(label_filter, [0.9] * 4, start=4)) == [("open", 0.4)]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ((-0.1, 0, 0.5), "on_seconds must be at least 0, got -0.1"),
        ((0, float("nan"), 0.5), "off_seconds must be at least 0, got nan"),
        ((0, 0, 1.1), r"threshold must lie in \[0, 1\], got 1.1"),
    ],
)
def test_arguments_out_of_range_are_named(arguments: tuple[float, float, float], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        FilterSettings(*arguments)


IDLE = ("open", "close", "idle")


def run_idle(label_filter: LabelFilter, best: list[str], *, start: int = 0) -> list[tuple[str, float]]:
    """Feed predictions, ten a second, of which one label has 0.9; return the changes."""
    changes = []
    for step, label in enumerate(best, start=start):
        probabilities = np.full(3, 0.34, np.float32) if label == "?" else np.full(3, 0.05, np.float32)
        if label != "?":
            probabilities[IDLE.index(label)] = 0.9
        change = label_filter.update(step * 100_000_000, Prediction("door", IDLE, probabilities))
        if change is not None:
            changes.append(change)
    return brief(changes)


@pytest.mark.parametrize(
    ("best", "expected"),
    [
        (["idle"] * 5, []),
        (["idle"] * 6, [("idle", 0.0)]),
        (["open"] * 4 + ["idle"] * 6, [("open", 0.0), ("idle", 0.4)]),
        (["open"] * 4 + ["idle"] * 5, [("open", 0.0)]),
        (["open"] * 4 + ["?", "idle"] * 3, [("open", 0.0), ("idle", 0.4)]),
        (["idle"] * 6 + ["?"] * 6, [("idle", 0.0), (UNKNOWN, 0.6)]),
        (["idle"] * 6 + ["?", "idle"] * 6, [("idle", 0.0)]),
        (["idle"] * 6 + ["close"] * 4, [("idle", 0.0), ("close", 0.6)]),
    ],
    ids=[
        "idle is in no haste",
        "idle after off_seconds",
        "an action ends in idle when it has been gone for off_seconds",
        "not before",
        "what is left is what is seen when the action is taken back",
        "nobody is sure any more",
        "flicker changes nothing",
        "an action comes on as fast from idle as from anything else",
    ],
)
def test_idle_is_the_absence_of_an_action(best: list[str], expected: list[tuple[str, float]]) -> None:
    label_filter = LabelFilter(FilterSettings(0.3, 0.5, 0.7), idle_label="idle")
    assert run_idle(label_filter, best) == expected


def test_new_settings_hold_at_once_and_take_nothing_back() -> None:
    label_filter = make_filter(0.3, 0.5, 0.7)
    run(label_filter, [0.9] * 4)
    label_filter.settings = FilterSettings(0.0, 0.5, 0.95)
    assert run(label_filter, [0.96], start=4) == [] and label_filter.label == "open"
    assert brief(run(label_filter, [0.01], start=5)) == [("close", 0.5)]
