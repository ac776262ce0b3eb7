"""Tiny backbones of every kind, as transformers makes them, and adapters that look trained."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import torch
import transformers

from step_ros.backbones.vision_tower import VisionTower, describe_tower
from step_ros.peft import AdaptedTower, AdapterConfig

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


def build_adapted(tower: VisionTower, kind: str, *, size: int = 5, num_frames: int = 4) -> AdaptedTower:
    """An adapter that looks as if it had been trained."""
    adapted = AdaptedTower(tower, AdapterConfig.of(kind, size=size, num_frames=num_frames), (IMAGE, IMAGE))
    shake(adapted.adapters)
    return adapted


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
