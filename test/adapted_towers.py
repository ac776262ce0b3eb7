"""Tiny backbones of every kind, adapters in them that look trained, and what all adapters keep to."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import ClassVar

import pytest
import torch
import transformers
from torch import Tensor, nn

from step_ros.backbones.vision_tower import VisionTower, describe_tower
from step_ros.peft import ADAPTERS, AdaptedTower, Adapter, AdapterConfig
from step_ros.peft.adapter import Place, windows_of

IMAGE = 32
SIZES = {
    "hidden_size": 16,
    "num_hidden_layers": 3,
    "num_attention_heads": 2,
    "intermediate_size": 32,
    "image_size": IMAGE,
    "patch_size": 8,
}
KINDS = ("vit", "dinov2", "dinov2_with_registers", "clip_vision_model")


class Shift(Adapter):
    """An adapter that the package does not know: what a block gives, moved by a learned vector."""

    sees_time: ClassVar[bool] = False
    published_size: ClassVar[int] = 1

    def __init__(self, place: Place, size: int) -> None:
        super().__init__(place, size)
        self.shift = nn.Parameter(torch.zeros(place.dim))

    def after(self, hidden: Tensor) -> Tensor:
        return hidden + self.shift


class WindowMean(Shift):
    """Likewise one that mixes frames: moved by a learned share of each place's mean over the window."""

    sees_time: ClassVar[bool] = True

    def after(self, hidden: Tensor) -> Tensor:
        windows = windows_of(hidden, self.place.num_frames)  # B T N D
        mixed: Tensor = windows + self.shift * windows.mean(1, keepdim=True)
        return mixed.flatten(0, 1)


OWN: Mapping[str, type[Adapter]] = {**ADAPTERS, "shift": Shift, "window_mean": WindowMean}
"""The node's adapters, and a user's own."""


def build_tower(kind: str) -> VisionTower:
    """A network whose every parameter has been moved off its starting value."""
    torch.manual_seed(0)
    without_mlp = {name: size for name, size in SIZES.items() if name != "intermediate_size"}
    network = {
        "vit": lambda: transformers.ViTModel(transformers.ViTConfig(**SIZES), add_pooling_layer=False),
        # Trained for another image size: positions are stretched.
        "dinov2": lambda: transformers.Dinov2Model(
            transformers.Dinov2Config(**{**without_mlp, "image_size": 48}, mlp_ratio=2)
        ),
        "dinov2_with_registers": lambda: transformers.Dinov2WithRegistersModel(
            transformers.Dinov2WithRegistersConfig(**without_mlp, num_register_tokens=3, mlp_ratio=2)
        ),
        "clip_vision_model": lambda: transformers.CLIPVisionModel(transformers.CLIPVisionConfig(**SIZES)),
    }[kind]()
    shake(network)
    return describe_tower(network.eval().requires_grad_(False), kind)


def shake(module: torch.nn.Module) -> None:
    """Move every parameter off where it starts."""
    generator = torch.Generator().manual_seed(1)
    with torch.no_grad():
        for parameter in module.parameters():
            parameter.add_(0.2 * torch.randn(parameter.shape, generator=generator))


def build_adapted(
    tower: VisionTower,
    kind: str,
    adapters: Mapping[str, type[Adapter]] = OWN,
    *,
    size: int = 5,
    num_frames: int = 4,
    fresh: bool = False,
) -> AdaptedTower:
    """An adapter that looks as if it had been trained, or as training starts with it."""
    config = AdapterConfig.of(kind, size=size, num_frames=num_frames, adapters=adapters)
    adapted = AdaptedTower(tower, config, (IMAGE, IMAGE), adapters)
    if not fresh:
        shake(adapted.adapters)
    return adapted


def plain_tokens(tower: VisionTower, windows: Tensor) -> Tensor:
    """What a network makes of windows with no adapter."""
    tokens: Tensor = tower.tokens(windows.flatten(0, 1)).unflatten(0, windows.shape[:2])
    return tokens


def assert_changes_tokens_and_not_their_shape(
    tower: VisionTower, adapted: AdaptedTower, windows: Tensor
) -> None:
    tokens, plain = adapted(windows), plain_tokens(tower, windows)
    assert tokens.shape == plain.shape == (2, 4, 16, 16)
    assert (tokens - plain).abs().mean() > 1e-3


def assert_gradients_are_the_same_with_checkpointing(
    tower: VisionTower, adapted: AdaptedTower, windows: Tensor
) -> None:
    gradients = []
    for checkpointing in (False, True):
        adapted.checkpoint_blocks(checkpointing)
        adapted.zero_grad()
        adapted(windows).square().mean().backward()
        assert all(p.grad is None for p in tower.network.parameters())
        gradients.append(
            [p.grad.clone() for p in adapted.adapters.parameters() if p.requires_grad and p.grad is not None]
        )
    assert gradients[0] and all(gradient.abs().max() > 0 for gradient in gradients[0])
    torch.testing.assert_close(*gradients)


def millions_on_a_vit_b(kind: str, adapters: Mapping[str, type[Adapter]]) -> float:
    """Parameters of an adapter as published, in millions, for windows of 16 frames."""
    with torch.device("meta"):
        tower = describe_tower(transformers.Dinov2Model(transformers.Dinov2Config(image_size=224)), "dinov2")
        config = AdapterConfig.of(kind, num_frames=16, adapters=adapters)
        return AdaptedTower(tower, config, (224, 224), adapters).num_trained() / 1e6


@pytest.fixture
def make_tower() -> Callable[..., VisionTower]:
    """Makes a network of a kind."""
    return build_tower


@pytest.fixture
def make_adapted() -> Callable[..., AdaptedTower]:
    """Puts an adapter into a network."""
    return build_adapted


@pytest.fixture
def windows() -> torch.Tensor:
    """Preprocessed windows (2, 4, 3, 32, 32)."""
    return torch.randn(2, 4, 3, IMAGE, IMAGE, generator=torch.Generator().manual_seed(2))


@pytest.fixture(params=KINDS)
def tower(request: pytest.FixtureRequest) -> VisionTower:
    """A network of each kind."""
    return build_tower(request.param)
