"""What a window teaches each head, and how much: also when it runs backwards."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from step_ros.training.datasets import TaskLabels
from step_ros.training.windows import DIRECTION, FORWARD, REVERSED, Partners, Window, partners


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
        return partners({task: about.symmetric_pairs for task, about in self.tasks.items()})

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
