"""What a window teaches each head, and how much: also when it runs backwards."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from step_ros.probes import HeadConfig
from step_ros.training.windows import DIRECTION, FORWARD, REVERSED, Window, reversed_labels


def label_of(window: Window, task: str) -> str | None:
    """A window's label; of the built-in task `direction`, which way it runs."""
    if task == DIRECTION and task not in window.labels:
        return REVERSED if window.backwards else FORWARD
    return window.labels.get(task)


def targets_of(
    windows: Sequence[Window], config: HeadConfig, *, time_reversal: bool, reversal_penalty: float
) -> tuple[Tensor, Tensor]:
    """Label indices (B,) and weights (B,) of windows for one head.

    Forwards every label counts. Backwards, one that is half of a nearly symmetric pair counts fully (it is
    the partner's by then); so does the label for nothing, and any label of a task without pairs: a cup stays
    a cup. What is left – nobody knows what it looks like backwards – counts `reversal_penalty`. Missing
    labels count nothing.
    """
    index = {label: i for i, label in enumerate(config.labels)}
    paired = {label for pair in config.symmetric_pairs for label in pair}
    targets, weights = [], []
    for window in windows:
        label = label_of(window, config.task)
        weight = 1.0
        if label not in index:
            label, weight = config.labels[0], 0.0
        elif window.backwards and config.task == DIRECTION:
            pass
        elif window.backwards and not time_reversal:
            weight = 0.0
        elif window.backwards and paired and label not in paired and label != config.idle_label:
            weight = reversal_penalty
        targets.append(index[label])
        weights.append(weight)
    return torch.tensor(targets), torch.tensor(weights)


def with_backwards(windows: Sequence[Window], partner: dict[str, dict[str, str]]) -> list[Window]:
    """Each window, and the same one backwards under its partner's labels."""
    turned = [
        Window(w.video, w.first, reversed_labels(w.labels, partner), True, w.tensor, w.clip) for w in windows
    ]
    return [*windows, *turned]
