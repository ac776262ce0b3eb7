"""Adapters against what their papers say of them, in networks of every kind."""

from __future__ import annotations

import copy
from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import Tensor

from step_ros.backbones import BackboneError
from step_ros.backbones.vision_tower import VisionTower
from step_ros.peft import ADAPTERS, AdapterConfig, AdapterError
from step_ros.peft.adapted_block import AdaptedBlock
from step_ros.peft.adapted_tower import blocks_of

from ..adapted_towers import (
    IMAGE,
    OWN,
    assert_changes_tokens_and_not_their_shape,
    assert_gradients_are_the_same_with_checkpointing,
    build_adapted,
    millions_on_a_vit_b,
    plain_tokens,
)

Make = Callable[..., Any]

# What a fresh one leaves of the backbone as it is.
FROM_ZERO = ("adaptformer", "shift", "window_mean")


@pytest.mark.parametrize(
    ("kind", "millions"),
    [
        ("vpt_shallow", 50 * 768 / 1e6),
        ("vpt_deep", 12 * 50 * 768 / 1e6),
        ("adaptformer", 1.19),  # AdaptFormer-64
    ],
)
def test_published_size_on_a_vit_b_has_the_published_parameters(kind: str, millions: float) -> None:
    assert millions_on_a_vit_b(kind, ADAPTERS) == pytest.approx(millions, rel=0.003)


@pytest.mark.parametrize("kind", FROM_ZERO)
def test_fresh_adapter_leaves_the_tokens_alone(tower: VisionTower, kind: str, windows: Tensor) -> None:
    adapted = build_adapted(tower, kind, fresh=True)
    torch.testing.assert_close(adapted(windows), plain_tokens(tower, windows))


@pytest.mark.parametrize("kind", OWN)
def test_adapter_changes_the_tokens_and_not_their_shape(
    tower: VisionTower, kind: str, windows: Tensor
) -> None:
    before = plain_tokens(tower, windows)
    assert_changes_tokens_and_not_their_shape(tower, build_adapted(tower, kind), windows)
    # The tower it was made of stays as it was.
    torch.testing.assert_close(plain_tokens(tower, windows), before)


@pytest.mark.parametrize("kind", ADAPTERS)
def test_image_adapter_does_not_see_other_frames(
    tower: VisionTower, kind: str, windows: Tensor, make_adapted: Make
) -> None:
    adapted = make_adapted(tower, kind)
    torch.testing.assert_close(adapted(windows.flip(1)), adapted(windows).flip(1))


def test_deep_prompts_are_the_block_with_prompts_thrown_away_after_it(
    windows: Tensor, make_tower: Make, make_adapted: Make
) -> None:
    tower = make_tower("vit")
    adapted = make_adapted(tower, "vpt_deep")
    block = copy.deepcopy(blocks_of(tower.network)[1])
    hidden = torch.randn(8, 17, 16)
    prompts = adapted.adapters[1].prompts.expand(8, -1, -1)
    with_prompts = block(torch.cat([hidden[:, :1], prompts, hidden[:, 1:]], dim=1), None)
    expected = torch.cat([with_prompts[:, :1], with_prompts[:, 6:]], dim=1)
    torch.testing.assert_close(list(adapted.adapted_blocks())[1](hidden), expected)


@pytest.mark.parametrize("kind", OWN)
def test_checkpointing_gives_the_same_gradients(tower: VisionTower, kind: str, windows: Tensor) -> None:
    assert_gradients_are_the_same_with_checkpointing(tower, build_adapted(tower, kind), windows)


def test_frames_that_are_no_whole_window_are_an_error(make_tower: Make, make_adapted: Make) -> None:
    adapted = make_adapted(make_tower("vit"), "window_mean")
    with pytest.raises(ValueError, match="windows of 4 frames, got 3 frames"):
        adapted(torch.randn(1, 3, 3, IMAGE, IMAGE))


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"kind": "lora", "size": 4}, "unknown adapter 'lora'"),
        ({"kind": "vpt_deep", "size": 0}, "size must be a whole number"),
        ({"kind": "vpt_deep", "size": 4, "num_frames": 8}, "single frames"),
        ({"kind": "window_mean", "size": 4}, "windows of 2 frames or more"),
        ({"kind": "window_mean", "size": 4, "depth": 3}, "cannot be read"),
        ({"kind": ["vpt_deep"], "size": 4}, "kind must be an adapter's name"),
        ([], "must be a JSON object"),
    ],
)
def test_config_that_makes_no_sense_is_named(values: object, message: str) -> None:
    with pytest.raises(AdapterError, match=message):
        AdapterConfig.from_json(values).find(OWN)


def test_block_with_other_parts_is_named(make_tower: Make, make_adapted: Make) -> None:
    tower = make_tower("vit")
    block = blocks_of(tower.network)[0]
    del block.mlp
    adapter = make_adapted(make_tower("vit"), "adaptformer").adapters[0]
    with pytest.raises(BackboneError, match="adapters need transformers 5.*has no mlp"):
        AdaptedBlock(block, adapter, "vit")
