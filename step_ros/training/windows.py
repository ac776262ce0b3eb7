"""Labelled windows of a token store, forwards and backwards: what heads are trained on and judged by."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from step_ros.training.datasets import TaskLabels

Partners = dict[str, dict[str, str]]  # task -> label -> the label of the same film played backwards

DIRECTION = "direction"
FORWARD, REVERSED = "forward", "reversed"


@dataclass(frozen=True)
class Window:
    """Where a window lies: frames `first` to `first` + T - 1 of a tensor of the store, and what it shows."""

    file: str
    """The video's file in the store."""
    tensor: str
    """Name of the tensor there."""
    first: int
    labels: dict[str, str]
    """Task to label; what it says nothing of is missing."""
    backwards: bool = False


def with_built_in(tasks: Mapping[str, TaskLabels]) -> dict[str, TaskLabels]:
    """A store's tasks, and the one that every clip has: whether it runs forwards or is reversed."""
    return {DIRECTION: TaskLabels([FORWARD, REVERSED], [(FORWARD, REVERSED)]), **tasks}


def partners(pairs: dict[str, list[tuple[str, str]]]) -> Partners:
    """From nearly symmetric pairs a task, what each label becomes when the film runs backwards."""
    return {task: {a: b for pair in listed for a, b in (pair, pair[::-1])} for task, listed in pairs.items()}


def reversed_labels(labels: dict[str, str], partner: Partners) -> dict[str, str]:
    """The labels of the same window played backwards: partners swap, everything else stays."""
    return {task: partner.get(task, {}).get(label, label) for task, label in labels.items()}


def with_backwards(windows: Sequence[Window], partner: Partners) -> list[Window]:
    """Each window, and the same one backwards under its partner's labels."""
    turned = [
        replace(window, labels=reversed_labels(window.labels, partner), backwards=True) for window in windows
    ]
    return [*windows, *turned]
