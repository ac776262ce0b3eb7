"""Adapters that mix frames against what their papers say of them, in networks of every kind."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor
from torch.nn import functional as F

from step_ros.backbones import Backbone, BackboneError
from step_ros.backbones.vision_tower import VisionTower
from step_ros.paper.adapters import ALL_ADAPTERS
from step_ros.peft import ADAPTERS
from step_ros.peft.adapter_folder import load_backbone, save_adapted
from step_ros.peft.merge import why_not_merged

from ..adapted_towers import (
    assert_changes_tokens_and_not_their_shape,
    assert_gradients_are_the_same_with_checkpointing,
    build_adapted,
    build_tower,
    millions_on_a_vit_b,
    plain_tokens,
)
from ..tiny_models import save_vit

KINDS = tuple(kind for kind in ALL_ADAPTERS if kind not in ADAPTERS)


@pytest.mark.parametrize(
    ("kind", "millions"),
    [
        ("st_adapter", 7.1),  # STEP, table I
        # 14.8 in STEP's table I: with the adapter after CLIP's projection, and a classifier of 400 classes.
        ("m2_clip", 14.8 - (2 * 512 * 256 + 5 * 256 + 512) / 1e6 - 400 * 769 / 1e6),
        ("vita_clip", 28.6),  # STEP, table I
    ],
)
def test_published_size_on_a_vit_b_has_the_published_parameters(kind: str, millions: float) -> None:
    assert millions_on_a_vit_b(kind, ALL_ADAPTERS) == pytest.approx(millions, rel=0.003)


@pytest.mark.parametrize("kind", ["st_adapter", "m2_clip"])
def test_fresh_adapter_leaves_the_tokens_alone(tower: VisionTower, kind: str, windows: Tensor) -> None:
    adapted = build_adapted(tower, kind, ALL_ADAPTERS, fresh=True)
    torch.testing.assert_close(adapted(windows), plain_tokens(tower, windows))


@pytest.mark.parametrize("kind", KINDS)
def test_adapter_changes_the_tokens_and_feels_the_order_of_frames(
    tower: VisionTower, kind: str, windows: Tensor
) -> None:
    adapted = build_adapted(tower, kind, ALL_ADAPTERS)
    assert_changes_tokens_and_not_their_shape(tower, adapted, windows)
    tokens = adapted(windows)
    assert (adapted(windows.flip(1)).flip(1) - tokens).abs().max() > 1e-3
    # And windows of a batch do not see each other.
    torch.testing.assert_close(adapted(windows[1:]), tokens[1:])


@pytest.mark.parametrize("kind", KINDS)
def test_checkpointing_gives_the_same_gradients(tower: VisionTower, kind: str, windows: Tensor) -> None:
    adapted = build_adapted(tower, kind, ALL_ADAPTERS)
    assert_gradients_are_the_same_with_checkpointing(tower, adapted, windows)


def test_st_adapter_is_the_convolution_of_its_equation() -> None:
    adapter: Any = build_adapted(build_tower("vit"), "st_adapter", ALL_ADAPTERS).adapters[1]
    hidden = torch.randn(8, 17, 16)
    lines = adapter.down(hidden[:, 1:]).reshape(2, 4, 4, 4, 5).permute(0, 4, 1, 2, 3)  # B r T h w
    weight = adapter.conv.weight[..., None, None]  # r 1 3 1 1
    convolved = F.conv3d(lines, weight, adapter.conv.bias, padding=(1, 0, 0), groups=5)
    added = adapter.up(convolved.permute(0, 2, 3, 4, 1).reshape(8, 16, 5))
    expected = torch.cat([hidden[:, :1], hidden[:, 1:] + added], dim=1)
    torch.testing.assert_close(adapter.before_attention(hidden), expected)


@pytest.mark.parametrize("kind", KINDS)
def test_saved_one_is_loaded_for_whole_windows_alone(kind: str, tmp_path: Path) -> None:
    source, folder = save_vit(tmp_path / "plain"), tmp_path / "adapted"
    base = Backbone.from_pretrained(source)
    adapted = build_adapted(base.tower, kind, ALL_ADAPTERS)
    assert "mixes the frames of a window" in str(why_not_merged(adapted))
    save_adapted(adapted, base, folder, source=source)
    frames = np.random.default_rng(0).integers(0, 256, (4, 40, 50, 3), np.uint8)
    loaded = load_backbone(folder, adapters=ALL_ADAPTERS)
    expected = adapted.tower.tokens(base.preprocess(torch.from_numpy(frames)))
    torch.testing.assert_close(loaded.encode(frames), expected, atol=1e-5, rtol=1e-5)
    with pytest.raises(BackboneError, match=f"with {kind}, whose tokens depend on all 4 frames of a window"):
        load_backbone(folder)
