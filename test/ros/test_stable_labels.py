"""The filtered labels of all tasks together."""

from __future__ import annotations

import numpy as np

from step_ros.perception import Perception, Prediction
from step_ros.ros.stable_labels import FilterSettings, StableLabels

AT_ONCE = FilterSettings(on_seconds=0.0, off_seconds=0.0, threshold=0.5)


def perception(stamp_ns: int, push: float) -> Perception:
    def prediction(task: str) -> Prediction:
        return Prediction(task, ("push", "pull"), np.array([push, 1 - push], np.float32))

    return Perception(stamp_ns, 0, {task: prediction(task) for task in ("near", "far")}, 0)


def test_every_task_has_a_filter_of_its_own() -> None:
    changes = StableLabels().update(perception(5, 0.9), AT_ONCE)
    assert [(change.task, change.label, change.onset_ns) for change in changes] == [
        ("near", "push", 5),
        ("far", "push", 5),
    ]


def test_nothing_is_said_while_nothing_changes() -> None:
    stable = StableLabels()
    stable.update(perception(5, 0.9), AT_ONCE)
    assert stable.update(perception(6, 0.8), AT_ONCE) == []


def test_new_settings_hold_from_the_next_update_on() -> None:
    stable = StableLabels()
    strict = FilterSettings(on_seconds=0.0, off_seconds=0.0, threshold=0.99)
    assert stable.update(perception(5, 0.9), strict) == []
    assert len(stable.update(perception(6, 0.9), AT_ONCE)) == 2


def test_reset_tells_whose_label_is_gone() -> None:
    stable = StableLabels()
    assert stable.reset() == []
    stable.update(perception(5, 0.9), AT_ONCE)
    assert stable.reset() == ["near", "far"]
    assert len(stable.update(perception(1, 0.9), AT_ONCE)) == 2
