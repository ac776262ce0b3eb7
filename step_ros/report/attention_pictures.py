"""Figure 5 of the STEP paper: frames of a window, and over them where backbone and head look."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from step_ros.frames.frame import Rgb
from step_ros.perception.attention_overlay import draw_attention, scaled_attention
from step_ros.report.second_look import AttentionExample

_GAP = 6  # pixels


def attention_rows(example: AttentionExample) -> list[tuple[str, Rgb]]:
    """Three strips, frames side by side: as they are, with the backbone's attention, with the head's."""
    return [
        ("frames", _strip(example.frames)),
        ("backbone alone", _strip(_overlaid(example, example.backbone))),
        ("STEP", _strip(_overlaid(example, example.pooled))),
    ]


def _overlaid(example: AttentionExample, attention: NDArray[np.float32]) -> list[Rgb]:
    """All frames of a window on one scale, so that it also shows which frame counts."""
    scaled = scaled_attention(attention)
    return [draw_attention(f, a, example.area) for f, a in zip(example.frames, scaled, strict=True)]


def _strip(frames: list[Rgb]) -> Rgb:
    height, width = frames[0].shape[:2]
    strip = np.full((height, len(frames) * (width + _GAP) - _GAP, 3), 255, np.uint8)
    for position, frame in enumerate(frames):
        left = position * (width + _GAP)
        strip[:, left : left + width] = frame
    return strip
