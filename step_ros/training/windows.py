"""Labelled windows of a token store, and what each teaches the heads, forwards and backwards."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import torch
from torch import Tensor

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


def reversed_labels(labels: dict[str, str], partner: Partners) -> dict[str, str]:
    """The labels of the same window played backwards: partners swap, everything else stays."""
    return {task: partner.get(task, {}).get(label, label) for task, label in labels.items()}


def with_backwards(windows: Sequence[Window], partner: Partners) -> list[Window]:
    """Each window, and the same one backwards under its partner's labels."""
    turned = [
        replace(window, labels=reversed_labels(window.labels, partner), backwards=True) for window in windows
    ]
    return [*windows, *turned]


@dataclass(frozen=True)
class Teaching:
    """What windows teach the heads of some tasks."""

    tasks: Mapping[str, TaskLabels]
    """What each head is to answer, by task."""
    time_reversal: bool = True
    """Whether a window also comes backwards, as a window of the partner class."""
    reversal_penalty: float = 0.0
    """Weight of the demand that a label without a partner stays when the window comes backwards."""
    lag_seconds: float = 0.0
    """Where windows slide over whole videos, a window's label is what goes on this long before its end."""

    @property
    def partner(self) -> Partners:
        """What each label becomes when the film runs backwards."""
        return {
            task: {a: b for pair in about.symmetric_pairs for a, b in (pair, pair[::-1])}
            for task, about in self.tasks.items()
        }

    @property
    def of_backwards(self) -> bool:
        """Whether anything can be learned of windows that run backwards."""
        return self.time_reversal or DIRECTION in self.tasks

    def targets(self, task: str, windows: Sequence[Window]) -> tuple[Tensor, Tensor]:
        """Label indices (B,) and weights (B,) of windows for one head.

        Forwards every label counts. Backwards, one that is half of a nearly symmetric pair counts fully (it
        is the partner's by then); so does the label for nothing, and any label of a task without pairs: a cup
        stays a cup. What is left – nobody knows what it looks like backwards – counts `reversal_penalty`.
        Missing labels count nothing.
        """
        about = self.tasks[task]
        index = {label: i for i, label in enumerate(about.labels)}
        paired = set(about.symmetric_labels)
        targets, weights = [], []
        for window in windows:
            label = label_of(window, task)
            weight = 1.0
            if label not in index:
                label, weight = about.labels[0], 0.0
            elif window.backwards and task == DIRECTION:
                pass
            elif window.backwards and not self.time_reversal:
                weight = 0.0
            elif window.backwards and paired and label not in paired and label != about.idle:
                weight = self.reversal_penalty
            targets.append(index[label])
            weights.append(weight)
        return torch.tensor(targets), torch.tensor(weights)

    def useful(self, windows: Sequence[Window]) -> list[Window]:
        """The windows that teach any of the heads something."""
        weights = torch.zeros(len(windows))
        for task in self.tasks:
            weights += self.targets(task, windows)[1]
        return [window for window, weight in zip(windows, weights.tolist(), strict=True) if weight > 0]


def label_of(window: Window, task: str) -> str | None:
    """A window's label; of the built-in task `direction`, which way it runs."""
    if task == DIRECTION and task not in window.labels:
        return REVERSED if window.backwards else FORWARD
    return window.labels.get(task)
