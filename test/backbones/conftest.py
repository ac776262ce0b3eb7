"""Tiny backbones with random weights, saved as transformers saves real ones."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import torch
import transformers

SIZES = {
    "hidden_size": 16,
    "num_hidden_layers": 2,
    "num_attention_heads": 2,
    "intermediate_size": 32,
    "image_size": 32,
    "patch_size": 16,
}

KINDS = ("vit", "dinov2", "dinov2_with_registers", "clip_vision_model", "clip")

MEAN, STD = [0.485, 0.456, 0.406], [0.229, 0.224, 0.225]


def make_network(kind: str) -> transformers.PreTrainedModel:
    torch.manual_seed(0)
    if kind == "vit":
        return transformers.ViTForImageClassification(transformers.ViTConfig(**SIZES, num_labels=3))
    if kind == "dinov2":
        return transformers.Dinov2Model(transformers.Dinov2Config(**SIZES))
    if kind == "dinov2_with_registers":
        config = transformers.Dinov2WithRegistersConfig(**SIZES, num_register_tokens=3)
        return transformers.Dinov2WithRegistersModel(config)
    if kind == "clip_vision_model":
        return transformers.CLIPVisionModel(transformers.CLIPVisionConfig(**SIZES))
    text = {"hidden_size": 16, "num_hidden_layers": 1, "num_attention_heads": 2, "intermediate_size": 32}
    config = transformers.CLIPConfig(
        text_config={**text, "vocab_size": 64}, vision_config=SIZES, projection_dim=8
    )
    return transformers.CLIPModel(config)


def save_backbone(kind: str, folder: Path) -> Path:
    """Save a tiny network, its norms and CLS token moved off their starting values, and its preprocessing."""
    network = make_network(kind).eval()
    with torch.no_grad():
        for name, parameter in network.named_parameters():
            if "norm" in name or "cls" in name or "class_embedding" in name or "register" in name:
                parameter.add_(torch.randn_like(parameter) * 0.3)
    network.save_pretrained(folder, safe_serialization=True)
    preprocess = {
        "do_resize": True,
        "size": {"height": 32, "width": 32},
        "resample": 2,
        "do_center_crop": False,
        "do_rescale": True,
        "rescale_factor": 1 / 255,
        "do_normalize": True,
        "image_mean": MEAN,
        "image_std": STD,
    }
    (folder / "preprocessor_config.json").write_text(json.dumps(preprocess))
    return folder


@pytest.fixture(params=KINDS)
def backbone_folder(request: pytest.FixtureRequest, tmp_path: Path) -> Path:
    """A folder of each kind of backbone."""
    return save_backbone(request.param, tmp_path)


@pytest.fixture
def vit_folder(tmp_path: Path) -> Path:
    """A ViT's folder."""
    return save_backbone("vit", tmp_path)


@pytest.fixture
def clip_folder(tmp_path: Path) -> Path:
    """A full CLIP's folder, text tower included."""
    return save_backbone("clip", tmp_path)
