"""Temperature scaling finds back the temperature that logits were drawn at."""

from __future__ import annotations

import pytest
import torch

from step_ros.probes.calibration import fit_rejection_threshold, fit_temperature


@pytest.mark.parametrize("temperature", [0.5, 1.0, 3.0])
def test_recovers_a_known_temperature(temperature: float) -> None:
    generator = torch.Generator().manual_seed(0)
    logits = 3 * torch.randn(20_000, 5, generator=generator)
    targets = torch.multinomial(torch.softmax(logits / temperature, dim=-1), 1, generator=generator)[:, 0]
    assert fit_temperature(logits, targets) == pytest.approx(temperature, rel=0.05)


def test_the_threshold_is_the_lowest_that_is_right_often_enough() -> None:
    confidence = torch.tensor([0.9, 0.8, 0.7, 0.6])
    probabilities = torch.stack([confidence, 1 - confidence], dim=1)
    targets = torch.tensor([0, 0, 1, 0])  # the third is wrong
    assert fit_rejection_threshold(probabilities, targets, accuracy=0.9) == pytest.approx(0.8)
    assert fit_rejection_threshold(probabilities, targets, accuracy=0.75) == 0.0
    assert fit_rejection_threshold(probabilities, 1 - targets, accuracy=0.9) == pytest.approx(0.7)


def test_the_temperature_stays_within_what_confidence_can_be_worth() -> None:
    targets = torch.tensor([0, 1] * 20)
    logits = torch.eye(2)[targets]
    assert fit_temperature(logits / 1000, targets) == pytest.approx(0.05)  # always right, and hardly sure
    assert fit_temperature(10 * logits, 1 - targets) == pytest.approx(20.0)  # always wrong, and sure
