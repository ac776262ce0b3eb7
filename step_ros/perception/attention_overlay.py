"""Attention, laid over the picture it was paid to."""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray

from step_ros.frames.frame import Rgb

_LEAST_OPACITY, _MOST_OPACITY = 0.25, 0.75


def draw_attention(
    rgb: Rgb, attention: NDArray[np.float32], area: tuple[float, float, float, float] = (0.0, 0.0, 1.0, 1.0)
) -> Rgb:
    """Lay a map over a picture: the warmer and the more opaque, the more attention.

    Args:
        rgb: (H, W, 3) uint8; not changed.
        attention: (rows, columns) in [0, 1], see `scaled_attention`.
        area: top, left, bottom, right of what the map covers, as shares of the picture: a backbone may not
            see all of it.

    Returns:
        A new (H, W, 3) uint8 picture.
    """
    height, width = rgb.shape[:2]
    top, bottom = round(area[0] * height), round(area[2] * height)
    left, right = round(area[1] * width), round(area[3] * width)
    size = (right - left, bottom - top)
    smooth = np.clip(cv2.resize(attention.astype(np.float32), size, interpolation=cv2.INTER_CUBIC), 0, 1)
    heat = cv2.applyColorMap((255 * smooth).astype(np.uint8), cv2.COLORMAP_INFERNO)[..., ::-1]
    opacity = (_LEAST_OPACITY + (_MOST_OPACITY - _LEAST_OPACITY) * smooth)[..., None]
    picture: Rgb = rgb.copy()
    seen = picture[top:bottom, left:right]
    picture[top:bottom, left:right] = (seen * (1 - opacity) + heat * opacity).astype(np.uint8)
    return picture


def scaled_attention(attention: NDArray[np.float32]) -> NDArray[np.float32]:
    """Attention of any scale brought to [0, 1]; the few strongest and the weakest twentieth are clipped."""
    low, high = np.quantile(attention, [0.05, 0.995])
    scaled: NDArray[np.float32] = np.clip((attention - low) / max(float(high - low), 1e-12), 0, 1)
    return scaled.astype(np.float32)
