"""Attention over a picture: warm where it is, nothing outside of what the backbone sees."""

from __future__ import annotations

import numpy as np

from step_ros.perception.attention_overlay import draw_attention, scaled_attention


def test_it_is_brightest_where_attention_is() -> None:
    attention = np.zeros((4, 4), np.float32)
    attention[0, 3] = 1.0
    drawn = draw_attention(np.full((80, 80, 3), 100, np.uint8), attention).astype(int).sum(axis=2)
    row, column = np.unravel_index(drawn.argmax(), drawn.shape)
    assert row < 25 and column > 55
    assert drawn[70, 10] < 300  # darkened where there is none


def test_what_the_backbone_does_not_see_stays() -> None:
    picture = np.full((80, 160, 3), 100, np.uint8)
    drawn = draw_attention(picture, np.ones((2, 2), np.float32), (0.0, 0.25, 1.0, 0.75))
    changed = (drawn != picture).any(axis=(0, 2))
    assert changed[40:120].all() and not changed[:40].any() and not changed[120:].any()
    assert (picture == 100).all()


def test_scaling_takes_any_attention() -> None:
    scaled = scaled_attention(np.random.default_rng(0).random((16, 64), np.float32) * 1e-4)
    assert scaled.min() == 0.0 and scaled.max() == 1.0
    assert (scaled_attention(np.full((2, 2), 0.25, np.float32)) == 0).all()
