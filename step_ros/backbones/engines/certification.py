"""Whether an engine gives the backbone's tokens: it is tried on frames before it is used."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from step_ros.backbones.engines.engine import Engine, EngineError

# bfloat16 must pass and what is broken must not. On a ViT-Ti/16 with trained weights, OpenVINO's bfloat16 has
# a mean cosine of 0.9998, a worst one of 0.9987 and an error of 0.2; float32 engines have all nines and
# errors below 1e-4.

MIN_MEAN_COSINE = 0.999
"""Between an engine's tokens and those of eager float32, on average: four times the loss of bfloat16."""

MIN_WORST_COSINE = 0.98
"""For the single worst token: a few patches that are wrong hide in an average over hundreds."""

MAX_RELATIVE_ERROR = 1.0
"""Largest error of any channel, over the tokens' root mean square. It finds what cosines do not see: a single
channel that went its own way."""


@dataclass(frozen=True)
class Agreement:
    """How close tokens are to those of eager float32."""

    mean_cosine: float
    """Cosine similarity of two tokens, on average."""
    worst_cosine: float
    """The least of any token."""
    relative_error: float
    """Largest absolute error of a channel over the root mean square of the reference."""

    @property
    def certified(self) -> bool:
        """Whether all three are within the thresholds; NaN is not."""
        return (
            self.mean_cosine >= MIN_MEAN_COSINE
            and self.worst_cosine >= MIN_WORST_COSINE
            and self.relative_error <= MAX_RELATIVE_ERROR
        )

    def __str__(self) -> str:
        return (
            f"cosine {self.mean_cosine:.6f} on average and {self.worst_cosine:.6f} at worst, "
            f"largest error {self.relative_error:.2g} of the tokens' scale"
        )


def agreement(tokens: Tensor, reference: Tensor) -> Agreement:
    """Compare tokens (B, P, D) with the reference's.

    Raises:
        EngineError: their shapes differ.
    """
    if tokens.shape != reference.shape:
        raise EngineError(f"it gives tokens of {tuple(tokens.shape)}, expected {tuple(reference.shape)}")
    found, expected = tokens.double().cpu(), reference.double().cpu()
    cosines = torch.nn.functional.cosine_similarity(found, expected, dim=-1)
    scale = expected.square().mean().sqrt().clamp(min=torch.finfo(torch.float32).tiny)
    error = (found - expected).abs().amax() / scale
    return Agreement(float(cosines.mean()), float(cosines.amin()), float(error))


def certify(engine: Engine, frames: Tensor, reference: Tensor) -> Agreement:
    """Try an engine on frames one by one and together.

    Args:
        engine: to be tried.
        frames: (B, H, W, 3) uint8.
        reference: what eager float32 makes of them, (B, P, D).

    Raises:
        EngineError: its tokens are not those of the reference.
    """
    alone = torch.cat([engine.encode(frame[None]) for frame in frames])
    found = [agreement(tokens, reference) for tokens in (alone, engine.encode(frames))]
    for each in found:
        if not each.certified:
            raise EngineError(
                f"its tokens are not those of PyTorch in float32: {each}; wanted are cosines of at least "
                f"{MIN_MEAN_COSINE} and {MIN_WORST_COSINE}, and an error of at most {MAX_RELATIVE_ERROR}"
            )
    return min(found, key=lambda each: each.mean_cosine)


def certification_frames(image_size: tuple[int, int]) -> NDArray[np.uint8]:
    """Frames (4, H, W, 3) that exercise a network as a camera's do: flat, smooth, textured, and with edges.

    Noise alone would not: its spectrum is flat, while that of natural images falls with the frequency, and it
    is on smooth regions that activations are largest.

    Args:
        image_size: height and width that the backbone sees; frames are of 480x640 or, if need be, larger.
    """
    height, width = max(480, image_size[0]), max(640, image_size[1])
    random = np.random.default_rng(0)
    y, x = np.mgrid[0:height, 0:width] / height
    gradient = np.stack([x / x.max(), y, 1 - y], axis=-1)
    waves = np.sin(2 * np.pi * (9 * x + 5 * y)), np.sin(2 * np.pi * 31 * y), np.sin(2 * np.pi * 60 * x * y)
    texture = 0.5 + 0.5 * np.stack(waves, axis=-1)
    natural = _pink_noise(random, height, width)
    shapes = 0.6 * natural + 0.2
    for _ in range(12):  # things with edges, before a background
        top, left = random.integers(0, height - 64), random.integers(0, width - 64)
        bottom, right = top + random.integers(32, 200), left + random.integers(32, 200)
        shapes[top:bottom, left:right] = random.uniform(0, 1, 3) + 0.1 * natural[top:bottom, left:right]
    frames = np.stack([gradient, texture, natural, shapes])
    return np.asarray(np.clip(255 * frames, 0, 255), dtype=np.uint8)


def _pink_noise(random: np.random.Generator, height: int, width: int) -> NDArray[np.float64]:
    """Noise (H, W, 3) from 0 to 1 whose amplitude falls with the frequency, 1/f."""
    frequency = np.hypot(np.fft.fftfreq(height)[:, None], np.fft.rfftfreq(width))
    frequency[0, 0] = 1.0
    spectrum = np.fft.rfft2(random.standard_normal((3, height, width))) / frequency
    noise = np.fft.irfft2(spectrum, s=(height, width)).transpose(1, 2, 0)
    spread = noise.std(axis=(0, 1))
    return np.asarray(np.clip(0.5 + (noise - noise.mean(axis=(0, 1))) / (5 * spread), 0, 1), dtype=np.float64)
