"""Other views of a clip, made before it is encoded: what augmentation is where tokens are cached."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray


@dataclass(frozen=True)
class View:
    """One way of seeing a clip, the same for all of its frames: what moves still moves as it did."""

    crop: tuple[float, float, float, float] = (0.0, 0.0, 1.0, 1.0)
    """Top, left, height and width, as shares of the frame."""
    mirrored: bool = False
    """Whether left and right are swapped."""
    gain: tuple[float, float, float] = (1.0, 1.0, 1.0)
    """Factors of red, green and blue."""
    contrast: float = 1.0
    """Factor of the distance from the frame's mean."""
    zoom: tuple[float, float] = (0.0, 1.0)
    """The part of the clip's time that is looked at."""

    def __call__(self, frames: NDArray[np.uint8]) -> NDArray[np.uint8]:
        """Frames (F, H, W, 3) as this view shows them; their size may be another."""
        height, width = frames.shape[1:3]
        top, left, tall, wide = self.crop
        rows = slice(round(top * height), max(round((top + tall) * height), round(top * height) + 1))
        columns = slice(round(left * width), max(round((left + wide) * width), round(left * width) + 1))
        seen = frames[:, rows, columns]
        if self.mirrored:
            seen = seen[:, :, ::-1]
        if self.contrast != 1 or self.gain != (1, 1, 1):
            values = seen.astype(np.float32)
            mean = values.mean(axis=(1, 2, 3), keepdims=True)
            values = ((values - mean) * self.contrast + mean) * np.asarray(self.gain, np.float32)
            seen = np.clip(values, 0, 255).astype(np.uint8)
        return np.ascontiguousarray(seen)


def draw_view(name: str, number: int, *, mirror: bool) -> View:
    """View `number` of the clip `name`; number 0 is the clip as it is, and the rest are random but fixed.

    Args:
        name: of the clip; with the number it fixes everything random.
        number: which view, from 0 on.
        mirror: whether half of the views swap left and right: not for classes such as "move left".
    """
    if number == 0:
        return View()
    seed = int.from_bytes(hashlib.sha256(f"{name} {number}".encode()).digest()[:8], "little")
    rng = np.random.default_rng(seed)
    area, aspect = rng.uniform(0.55, 1.0), np.exp(rng.uniform(-0.2, 0.2))
    tall, wide = min(1.0, np.sqrt(area) * aspect), min(1.0, np.sqrt(area) / aspect)
    brightness, balance = rng.uniform(0.6, 1.4), rng.uniform(0.85, 1.15, 3)
    length = rng.uniform(0.85, 1.0)
    begin = rng.uniform(0, 1 - length)
    red, green, blue = (float(brightness * factor) for factor in balance)
    return View(
        crop=(float(rng.uniform(0, 1 - tall)), float(rng.uniform(0, 1 - wide)), float(tall), float(wide)),
        mirrored=bool(mirror and rng.random() < 0.5),
        gain=(red, green, blue),
        contrast=float(rng.uniform(0.7, 1.3)),
        zoom=(float(begin), float(begin + length)),
    )
