"""What a training makes: heads whose confidence means what it says, and how they came about."""

from __future__ import annotations

from dataclasses import dataclass, field, replace

import torch

from step_ros.backbones import Backbone
from step_ros.probes import Head
from step_ros.training.calibration import fit_rejection_threshold, fit_temperature
from step_ros.training.fit_options import FitOptions
from step_ros.training.lesson import Lesson
from step_ros.training.splits import Split
from step_ros.training.window_logits import window_logits
from step_ros.training.window_tokens import TokenSource
from step_ros.training.windows import DIRECTION, with_backwards


@dataclass
class Fitted:
    """What a training made."""

    heads: dict[str, Head]
    """By task, in evaluation mode, on the device that they were trained on."""
    split: Split
    """Which clips were for what."""
    steps: int
    """Optimiser steps taken."""
    curve: list[dict[str, float]] = field(default_factory=list)
    """At each check: step, and of each task its training loss and, with validation clips, their loss and
    accuracy."""
    backbone: Backbone | None = None
    """What makes tokens of the store's pixels, adapted or as it was; None where the store holds tokens."""
    adapter_parameters: int = 0
    """Parameters of the adapter, and of a text side, that were trained."""


def calibrate(head: Head, lesson: Lesson, tokens_of: TokenSource, options: FitOptions) -> None:
    """Fit temperature and rejection threshold on the validation clips, if there are any."""
    if not lesson.split.validation:
        return
    windows = lesson.store.calibration_windows(lesson.split.validation, lesson.teaching)
    if head.config.task == DIRECTION:
        windows = with_backwards(windows, {})
    logits, targets = window_logits(head, windows, tokens_of)
    if len(targets) == 0:
        return
    temperature = fit_temperature(logits, targets)
    probabilities = torch.softmax(logits / temperature, dim=-1)
    threshold = fit_rejection_threshold(probabilities, targets, accuracy=options.accepted_accuracy)
    head.config = replace(head.config, temperature=temperature, rejection_threshold=threshold)
