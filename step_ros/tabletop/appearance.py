"""How a scene looks: colours, textures, camera and light, from ranges that differ between the splits."""

from __future__ import annotations

import colorsys
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from step_ros.tabletop.pose import Vector, vector
from step_ros.tabletop.tabletop_object import Generator

SPLITS = ("train", "validation", "test")

# Hues in [0, 1): every split has warm and cold colours, none shares them with another.
HUES = {
    "train": ((0.00, 0.14), (0.24, 0.38), (0.48, 0.64), (0.74, 0.90)),
    "validation": ((0.20, 0.24), (0.44, 0.48), (0.70, 0.74)),
    "test": ((0.14, 0.20), (0.38, 0.44), (0.64, 0.70), (0.90, 1.00)),
}
TEXTURES = {
    "train": ("flat", "checker", "gradient", "blobs", "grain"),
    "validation": ("stripes", "flat"),
    "test": ("rings", "waves", "flat"),
}
# Bands of degrees to either side of straight ahead, and of degrees above the table.
AZIMUTH = {
    "train": ((0.0, 10.0), (20.0, 32.0)),
    "validation": ((10.0, 14.0),),
    "test": ((14.0, 20.0),),
}
ELEVATION = {
    "train": ((36.0, 44.0), (51.0, 60.0)),
    "validation": ((44.0, 46.0),),
    "test": ((46.0, 51.0),),
}

TEXTURE_SIZE = 128


@dataclass(frozen=True, eq=False)
class Viewpoint:
    """Place and target (3,) in metres, vertical field of view in degrees."""

    position: Vector
    target: Vector
    field_of_view: float


@dataclass(frozen=True, eq=False)
class Light:
    """Place (3,) in metres, brightness in [0, 1], whether it casts shadows."""

    position: Vector
    brightness: float
    shadows: bool


class Appearance:
    """Everything about a scene's looks, drawn for one split.

    Raises:
        ValueError: `split` is not one of `SPLITS`.
    """

    def __init__(self, rng: Generator, split: str, *, shadows: float = 0.5) -> None:
        if split not in SPLITS:
            raise ValueError(f"split is {split!r}; expected one of {', '.join(SPLITS)}")
        self.rng = rng
        self.split = split
        self.camera = self._camera()
        self.ambient = float(rng.uniform(0.3, 0.55))
        self.lights = [
            Light(
                vector(rng.uniform(-0.8, 0.8), rng.uniform(-0.8, 0.4), rng.uniform(0.9, 1.6)),
                float(rng.uniform(0.4, 0.7)),
                bool(index == 0 and rng.uniform() < shadows),
            )
            for index in range(int(rng.integers(1, 3)))
        ]

    def colour(self) -> tuple[float, float, float]:
        """A random colour, RGB in [0, 1]; one in four is nearly grey."""
        hue = self._from(HUES[self.split])
        saturation = self.rng.uniform(0.0, 0.15) if self.rng.uniform() < 0.25 else self.rng.uniform(0.3, 0.95)
        return colorsys.hsv_to_rgb(hue, saturation, self.rng.uniform(0.3, 1.0))

    def skin(self) -> tuple[float, float, float]:
        """Colour of the hand: skin, or a glove's or gripper's."""
        if self.rng.uniform() < 0.6:
            light = self.rng.uniform(0.35, 1.0)
            return (0.95 * light, (0.60 + 0.18 * light) * light, (0.42 + 0.22 * light) * light)
        return self.colour()

    def texture(self) -> NDArray[np.uint8]:
        """A random pattern of two colours, uint8 (TEXTURE_SIZE, TEXTURE_SIZE, 3)."""
        kind = str(self.rng.choice(TEXTURES[self.split]))
        mix = np.clip(self._pattern(kind), 0, 1)[..., None]
        first, second = np.array(self.colour()), np.array(self.colour())
        contrast = 1.0 if self.rng.uniform() < 0.1 else self.rng.uniform(0.1, 0.45)  # as real tables have
        second = first + contrast * (second - first)
        return np.asarray(255 * ((1 - mix) * first + mix * second), dtype=np.uint8)

    def _pattern(self, kind: str) -> NDArray[np.float64]:
        y, x = np.mgrid[0:TEXTURE_SIZE, 0:TEXTURE_SIZE] / TEXTURE_SIZE
        count = int(self.rng.integers(2, 10))
        angle = self.rng.uniform(0, np.pi)
        along = x * np.cos(angle) + y * np.sin(angle)
        if kind == "checker":
            pattern = (np.floor(x * count) + np.floor(y * count)) % 2
        elif kind == "gradient":
            pattern = along
        elif kind == "stripes":
            pattern = np.floor(along * 2 * count) % 2
        elif kind == "waves":
            pattern = 0.5 + 0.5 * np.sin(2 * np.pi * count * (along + 0.05 * np.sin(12 * (x - y))))
        elif kind == "rings":
            distance = np.hypot(x - self.rng.uniform(), y - self.rng.uniform())
            pattern = 0.5 + 0.5 * np.sin(4 * np.pi * count * distance)
        elif kind == "blobs":
            pattern = self._noise(count)
        elif kind == "grain":
            pattern = self._noise(40)
        else:
            pattern = np.zeros((TEXTURE_SIZE, TEXTURE_SIZE))
        return np.asarray(pattern, dtype=np.float64)

    def _noise(self, cells: int) -> NDArray[np.float64]:
        coarse = self.rng.uniform(0, 1, (cells, cells))
        index = np.linspace(0, cells - 1, TEXTURE_SIZE)
        low = np.floor(index).astype(int)
        high, share = np.minimum(low + 1, cells - 1), index - low
        rows = coarse[low] * (1 - share)[:, None] + coarse[high] * share[:, None]
        return np.asarray(rows[:, low] * (1 - share) + rows[:, high] * share, dtype=np.float64)

    def _from(self, bands: tuple[tuple[float, float], ...]) -> float:
        """A number from one of the bands, each as likely as it is wide."""
        widths = np.array([high - low for low, high in bands])
        low, high = bands[int(self.rng.choice(len(bands), p=widths / widths.sum()))]
        return float(self.rng.uniform(low, high))

    def _camera(self) -> Viewpoint:
        azimuth = np.radians(self._from(AZIMUTH[self.split]) * self.rng.choice([-1, 1]))
        elevation = np.radians(self._from(ELEVATION[self.split]))
        distance = self.rng.uniform(0.64, 0.76)
        target = vector(
            self.rng.uniform(-0.03, 0.03), self.rng.uniform(-0.02, 0.04), self.rng.uniform(0.03, 0.07)
        )
        flat = np.cos(elevation)
        offset = distance * vector(flat * np.sin(azimuth), -flat * np.cos(azimuth), np.sin(elevation))
        return Viewpoint(target + offset, target, float(self.rng.uniform(40, 46)))
