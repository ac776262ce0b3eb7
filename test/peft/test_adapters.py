"""Adapters against what their papers say of them, in networks of every kind."""

from __future__ import annotations

import copy
from collections.abc import Callable
from typing import Any

import pytest
import torch
import transformers
from torch import Tensor
from torch.nn import functional as F

from step_ros.backbones import BackboneError
from step_ros.backbones.vision_tower import VisionTower, describe_tower
from step_ros.peft import ADAPTERS, AdaptedTower, AdapterConfig, AdapterError
from step_ros.peft.adapted_block import AdaptedBlock
from step_ros.peft.adapted_tower import blocks_of

Make = Callable[..., Any]

IMAGE = 32
TIMELESS = ("vpt_shallow", "vpt_deep", "adaptformer")
TEMPORAL = ("st_adapter", "m2_clip", "vita_clip")
# What a fresh one leaves of the backbone as it is.
FROM_ZERO = ("adaptformer", "st_adapter", "m2_clip")


@pytest.mark.parametrize(
    ("kind", "millions"),
    [
        ("vpt_shallow", 50 * 768 / 1e6),
        ("vpt_deep", 12 * 50 * 768 / 1e6),
        ("adaptformer", 1.19),  # AdaptFormer-64
        ("st_adapter", 7.1),  # STEP, table I
        # 14.8 in STEP's table I: with the adapter after CLIP's projection, and a classifier of 400 classes.
        ("m2_clip", 14.8 - (2 * 512 * 256 + 5 * 256 + 512) / 1e6 - 400 * 769 / 1e6),
        ("vita_clip", 28.6),  # STEP, table I
    ],
)
def test_published_size_on_a_vit_b_has_the_published_parameters(kind: str, millions: float) -> None:
    with torch.device("meta"):
        config = transformers.Dinov2Config(image_size=224)
        tower = describe_tower(transformers.Dinov2Model(config), "dinov2")
        adapted = AdaptedTower(tower, AdapterConfig.of(kind, num_frames=16), (224, 224))
    assert adapted.num_trained() / 1e6 == pytest.approx(millions, rel=0.003)


@pytest.mark.parametrize("kind", FROM_ZERO)
def test_fresh_adapter_leaves_the_tokens_alone(tower: VisionTower, kind: str, windows: Tensor) -> None:
    adapted = AdaptedTower(tower, AdapterConfig.of(kind, size=5, num_frames=4), (IMAGE, IMAGE))
    plain = tower.tokens(windows.flatten(0, 1)).unflatten(0, (2, 4))
    torch.testing.assert_close(adapted(windows), plain)


@pytest.mark.parametrize("kind", ADAPTERS)
def test_adapter_changes_the_tokens_and_not_their_shape(
    tower: VisionTower, kind: str, windows: Tensor, make_adapted: Make
) -> None:
    plain = tower.tokens(windows.flatten(0, 1)).unflatten(0, (2, 4))
    tokens = make_adapted(tower, kind)(windows)
    assert tokens.shape == plain.shape == (2, 4, 16, 16)
    assert (tokens - plain).abs().mean() > 1e-3
    # The tower it was made of stays as it was.
    torch.testing.assert_close(tower.tokens(windows.flatten(0, 1)).unflatten(0, (2, 4)), plain)


@pytest.mark.parametrize("kind", TIMELESS)
def test_image_adapter_does_not_see_other_frames(
    tower: VisionTower, kind: str, windows: Tensor, make_adapted: Make
) -> None:
    adapted = make_adapted(tower, kind)
    torch.testing.assert_close(adapted(windows.flip(1)), adapted(windows).flip(1))


@pytest.mark.parametrize("kind", TEMPORAL)
def test_video_adapter_feels_the_order_of_frames(
    tower: VisionTower, kind: str, windows: Tensor, make_adapted: Make
) -> None:
    adapted = make_adapted(tower, kind)
    tokens = adapted(windows)
    assert (adapted(windows.flip(1)).flip(1) - tokens).abs().max() > 1e-3
    # And windows of a batch do not see each other.
    torch.testing.assert_close(adapted(windows[1:]), tokens[1:])


def test_st_adapter_is_the_convolution_of_its_equation(
    windows: Tensor, make_tower: Make, make_adapted: Make
) -> None:
    adapter = make_adapted(make_tower("vit"), "st_adapter").adapters[1]
    hidden = torch.randn(8, 17, 16)
    lines = adapter.down(hidden[:, 1:]).reshape(2, 4, 4, 4, 5).permute(0, 4, 1, 2, 3)  # B r T h w
    weight = adapter.conv.weight[..., None, None]  # r 1 3 1 1
    convolved = F.conv3d(lines, weight, adapter.conv.bias, padding=(1, 0, 0), groups=5)
    added = adapter.up(convolved.permute(0, 2, 3, 4, 1).reshape(8, 16, 5))
    expected = torch.cat([hidden[:, :1], hidden[:, 1:] + added], dim=1)
    torch.testing.assert_close(adapter.before_attention(hidden), expected)


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


@pytest.mark.parametrize("kind", ADAPTERS)
def test_checkpointing_gives_the_same_gradients(
    tower: VisionTower, kind: str, windows: Tensor, make_adapted: Make
) -> None:
    adapted = make_adapted(tower, kind)
    gradients = []
    for checkpointing in (False, True):
        adapted.checkpoint_blocks(checkpointing)
        adapted.zero_grad()
        adapted(windows).square().mean().backward()
        assert all(p.grad is None for p in tower.network.parameters())
        gradients.append([p.grad.clone() for p in adapted.adapters.parameters() if p.requires_grad])
    assert gradients[0] and all(gradient.abs().max() > 0 for gradient in gradients[0])
    torch.testing.assert_close(*gradients)


@pytest.mark.parametrize("kind", TEMPORAL)
def test_frames_that_are_no_whole_window_are_an_error(
    kind: str, make_tower: Make, make_adapted: Make
) -> None:
    adapted = make_adapted(make_tower("vit"), kind)
    with pytest.raises(ValueError, match="windows of 4 frames, got 3 frames"):
        adapted(torch.randn(1, 3, 3, IMAGE, IMAGE))


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"kind": "lora", "size": 4}, "unknown adapter 'lora'"),
        ({"kind": "vpt_deep", "size": 0}, "size must be a whole number"),
        ({"kind": "vpt_deep", "size": 4, "num_frames": 8}, "single frames"),
        ({"kind": "st_adapter", "size": 4}, "windows of 2 frames or more"),
        ({"kind": "st_adapter", "size": 4, "depth": 3}, "cannot be read"),
        ([], "must be a JSON object"),
    ],
)
def test_config_that_makes_no_sense_is_named(values: object, message: str) -> None:
    with pytest.raises(AdapterError, match=message):
        AdapterConfig.from_json(values)


def test_block_with_other_parts_is_named(make_tower: Make, make_adapted: Make) -> None:
    tower = make_tower("vit")
    block = blocks_of(tower.network)[0]
    del block.mlp
    adapter = make_adapted(make_tower("vit"), "adaptformer").adapters[0]
    with pytest.raises(BackboneError, match="adapters need transformers 5.*has no mlp"):
        AdaptedBlock(block, adapter, "vit")
