"""What makes tokens right, and the frames that they are tried on."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from step_ros.backbones.engines import EngineError
from step_ros.backbones.engines.certification import agreement, certification_frames


def reference() -> torch.Tensor:
    return torch.randn(2, 16, 32, generator=torch.Generator().manual_seed(0))


def test_rounding_to_half_precision_is_certified() -> None:
    for precision in (torch.bfloat16, torch.float16):
        assert agreement(reference().to(precision), reference()).certified


def broken_channel(tokens: torch.Tensor) -> torch.Tensor:
    tokens[0, 3, 5] += 4
    return tokens


def swapped_patches(tokens: torch.Tensor) -> torch.Tensor:
    tokens[1, [2, 3]] = tokens[1, [3, 2]]
    return tokens


def not_a_number(tokens: torch.Tensor) -> torch.Tensor:
    tokens[0, 0, 0] = torch.nan
    return tokens


@pytest.mark.parametrize(
    "break_tokens",
    [
        pytest.param(broken_channel, id="one channel is off"),
        pytest.param(swapped_patches, id="two patches are swapped"),
        pytest.param(not_a_number, id="one number is none"),
        pytest.param(lambda tokens: tokens * 3, id="the scale is lost"),
        pytest.param(lambda tokens: tokens + 0.2 * torch.randn(tokens.shape), id="noise"),
        pytest.param(torch.zeros_like, id="nothing"),
        pytest.param(lambda tokens: tokens.flip(0), id="frames of a batch are swapped"),
    ],
)
def test_wrong_tokens_are_not_certified(break_tokens) -> None:
    assert not agreement(break_tokens(reference()), reference()).certified


def test_tokens_of_another_shape_are_an_error() -> None:
    with pytest.raises(EngineError, match=r"\(2, 15, 32\), expected \(2, 16, 32\)"):
        agreement(reference()[:, 1:], reference())


def test_frames_are_like_a_cameras() -> None:
    frames = certification_frames((224, 224))
    assert frames.shape == (4, 480, 640, 3) and frames.dtype == np.uint8
    assert np.array_equal(frames, certification_frames((224, 224)))
    assert all(frame.std() > 20 for frame in frames), "none of them is flat"
    assert certification_frames((512, 1024)).shape == (4, 512, 1024, 3)


def test_the_noise_has_a_natural_spectrum() -> None:
    """Power falls with the square of the frequency: by 100 from one decade to the next."""
    grey = certification_frames((224, 224))[2].astype(float).mean(-1)
    power = np.abs(np.fft.rfft(grey - grey.mean(), axis=1)).mean(0) ** 2
    slope = np.polyfit(np.log(np.arange(3, 100)), np.log(power[3:100]), 1)[0]
    assert -2.5 < slope < -0.9
