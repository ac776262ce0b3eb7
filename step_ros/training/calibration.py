"""Calibrates a head on the validation clips of a lesson."""

from __future__ import annotations

from dataclasses import replace

import torch

from step_ros.probes import Head
from step_ros.probes.calibration import fit_rejection_threshold, fit_temperature
from step_ros.training.fit_options import FitOptions
from step_ros.training.lesson import Lesson
from step_ros.training.window_tokens import WindowTokens, window_logits
from step_ros.training.windows import DIRECTION, with_backwards


def calibrate(head: Head, lesson: Lesson, tokens_of: WindowTokens, options: FitOptions) -> None:
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
