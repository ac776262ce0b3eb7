"""Temperature scaling finds back the temperature that logits were drawn at."""

from __future__ import annotations

import pytest
import torch

from step_ros.training.calibration import fit_temperature


@pytest.mark.parametrize("temperature", [0.5, 1.0, 3.0])
def test_recovers_a_known_temperature(temperature: float) -> None:
    generator = torch.Generator().manual_seed(0)
    logits = 3 * torch.randn(20_000, 5, generator=generator)
    targets = torch.multinomial(torch.softmax(logits / temperature, dim=-1), 1, generator=generator)[:, 0]
    assert fit_temperature(logits, targets) == pytest.approx(temperature, rel=0.05)
