"""What a frame is."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

Rgb = npt.NDArray[np.uint8]
"""Pixels: uint8 (H, W, 3) in the order red, green, blue."""


@dataclass(frozen=True, eq=False)
class Frame:
    """One image and the time at which it was taken.

    Two frames are equal only if they are the same object: comparing pixels is the caller's decision.

    Raises:
        ValueError: A field is not what it is documented to be; the message names what was found.
    """

    stamp_ns: int
    """When the image was taken, in nanoseconds of the clock that stamped it."""

    rgb: Rgb
    """The pixels: uint8 (H, W, 3) in the order red, green, blue; H and W at least 1."""

    def __post_init__(self) -> None:
        if not isinstance(self.stamp_ns, int) or isinstance(self.stamp_ns, bool):
            raise ValueError(
                f"stamp_ns must be an int in nanoseconds, got {self.stamp_ns!r} "
                f"({type(self.stamp_ns).__name__})"
            )
        if not isinstance(self.rgb, np.ndarray):
            raise ValueError(f"rgb must be a uint8 array (H, W, 3), got a {type(self.rgb).__name__}")
        if self.rgb.dtype != np.uint8 or self.rgb.ndim != 3 or self.rgb.shape[2] != 3:
            raise ValueError(f"rgb must be uint8 (H, W, 3), got {self.rgb.dtype} {self.rgb.shape}")
        if self.rgb.size == 0:
            raise ValueError(f"rgb must hold at least one pixel, got shape {self.rgb.shape}")
