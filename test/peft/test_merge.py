"""A merged adapter gives the tokens of the unmerged one, from a plain checkpoint."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import Tensor

from step_ros.backbones.vision_tower import VisionTower, describe_tower
from step_ros.peft import AdapterError
from step_ros.peft.merge import merged_network, why_not_merged

from ..adapted_towers import KINDS, OWN

Make = Callable[..., Any]

MERGED = {
    ("adaptformer", "vit"): "vit",
    ("adaptformer", "dinov2"): "vit",
    ("adaptformer", "clip_vision_model"): "clip_vision_model",
    ("vpt_shallow", "vit"): "dinov2_with_registers",
    ("vpt_shallow", "dinov2"): "dinov2_with_registers",
    ("vpt_shallow", "dinov2_with_registers"): "dinov2_with_registers",
}


@pytest.mark.parametrize(("kind", "network"), MERGED)
def test_merged_network_gives_the_same_tokens(
    kind: str, network: str, windows: Tensor, make_tower: Make, make_adapted: Make
) -> None:
    adapted = make_adapted(make_tower(network), kind)
    plain = merged_network(adapted)
    assert plain.config.model_type == MERGED[kind, network]
    tower = describe_tower(plain, plain.config.model_type)
    frames = windows.flatten(0, 1)
    with torch.no_grad():
        expected = adapted.tower.tokens(frames)
        assert (expected - make_tower(network).tokens(frames)).abs().mean() > 1e-3
        torch.testing.assert_close(tower.tokens(frames), expected, atol=1e-5, rtol=1e-5)


@pytest.mark.parametrize("kind", OWN)
@pytest.mark.parametrize("network", KINDS)
def test_what_cannot_be_merged_says_why(
    kind: str, network: str, make_tower: Make, make_adapted: Make
) -> None:
    adapted = make_adapted(make_tower(network), kind)
    reason = why_not_merged(adapted)
    assert (reason is None) == ((kind, network) in MERGED)
    if reason is not None:
        with pytest.raises(AdapterError, match="cannot be merged"):
            merged_network(adapted)


def test_tower_is_left_as_it_was(windows: Tensor, make_tower: Make, make_adapted: Make) -> None:
    tower: VisionTower = make_tower("dinov2")
    before = tower.tokens(windows.flatten(0, 1))
    merged_network(make_adapted(tower, "adaptformer"))
    torch.testing.assert_close(tower.tokens(windows.flatten(0, 1)), before)
