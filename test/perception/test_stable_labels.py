"""The filtered labels of all tasks together."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest

from step_ros.perception import UNKNOWN, FilterSettings, Perception, Prediction, StableLabels
from step_ros.probes import Head, HeadConfig

AT_ONCE = FilterSettings(on_seconds=0.0, off_seconds=0.0, threshold=0.5)
LABELS = ("push", "pull")


@pytest.fixture
def heads(make_head: Callable[..., Head]) -> dict[str, HeadConfig]:
    return {task: make_head(task, labels=LABELS).config for task in ("near", "far")}


def perception(stamp_ns: int, push: float) -> Perception:
    def prediction(task: str) -> Prediction:
        return Prediction(task, LABELS, np.array([push, 1 - push], np.float32))

    return Perception(stamp_ns, 0, {task: prediction(task) for task in ("near", "far")}, 0)


def test_every_task_has_a_filter_of_its_own(heads: dict[str, HeadConfig]) -> None:
    changes = StableLabels(heads).update(perception(5, 0.9), AT_ONCE)
    assert [(change.task, change.label, change.onset_ns) for change in changes] == [
        ("near", "push", 5),
        ("far", "push", 5),
    ]


def test_nothing_is_said_while_nothing_changes(heads: dict[str, HeadConfig]) -> None:
    stable = StableLabels(heads)
    stable.update(perception(5, 0.9), AT_ONCE)
    assert stable.update(perception(6, 0.8), AT_ONCE) == []


def test_new_settings_hold_from_the_next_update_on(heads: dict[str, HeadConfig]) -> None:
    stable = StableLabels(heads)
    strict = FilterSettings(on_seconds=0.0, off_seconds=1.0, threshold=0.99)
    assert stable.update(perception(5, 0.9), strict) == []
    assert len(stable.update(perception(6, 0.9), AT_ONCE)) == 2


def test_a_heads_own_threshold_holds_whatever_the_settings_say(make_head: Callable[..., Head]) -> None:
    heads = {
        "near": make_head("near", labels=LABELS, rejection_threshold=0.95).config,
        "far": make_head("far", labels=LABELS).config,
    }
    changes = StableLabels(heads).update(perception(5, 0.9), AT_ONCE)
    assert {change.task: change.label for change in changes} == {"near": UNKNOWN, "far": "push"}


def test_reset_tells_whose_label_is_gone(heads: dict[str, HeadConfig]) -> None:
    stable = StableLabels(heads)
    assert stable.reset() == []
    stable.update(perception(5, 0.9), AT_ONCE)
    assert stable.reset() == ["near", "far"]
    assert len(stable.update(perception(1, 0.9), AT_ONCE)) == 2


def test_a_head_that_is_replaced_keeps_its_label_if_it_knows_the_same_ones(
    heads: dict[str, HeadConfig], make_head: Callable[..., Head]
) -> None:
    stable = StableLabels(heads)
    stable.update(perception(5, 0.9), AT_ONCE)
    stable.set_heads({"near": heads["near"], "far": make_head("far", labels=("up", "down")).config})
    assert stable.update(perception(6, 0.9), AT_ONCE) == []  # and the answer of the head before is left alone
    assert stable.reset() == ["near"]
