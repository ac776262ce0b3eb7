"""Tiny backbones to run engines on."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
import transformers

from step_ros.backbones import Backbone

SIZES = {
    "hidden_size": 32,
    "num_hidden_layers": 2,
    "num_attention_heads": 2,
    "intermediate_size": 64,
    "patch_size": 16,
}

PREPROCESS = """{"do_resize": true, "size": {"height": 64, "width": 64}, "resample": 2, "do_rescale": true,
"do_center_crop": false, "do_normalize": true, "image_mean": [0.5, 0.4, 0.3], "image_std": [0.2, 0.3, 0.4]}"""


def save_backbone(kind: str, folder: Path, *, seed: int = 0) -> Path:
    torch.manual_seed(seed)
    if kind == "vit":
        network = transformers.ViTModel(
            transformers.ViTConfig(**SIZES, image_size=64), add_pooling_layer=False
        )
    else:  # trained at another size than it is used at, as DINOv2 is: its positions have to be stretched
        network = transformers.Dinov2Model(transformers.Dinov2Config(**SIZES, image_size=112))
    with torch.no_grad():
        for parameter in network.parameters():
            parameter.add_(0.1 * torch.randn_like(parameter))
    network.save_pretrained(folder)
    (folder / "preprocessor_config.json").write_text(PREPROCESS)
    return folder


@pytest.fixture(scope="session", params=["vit", "dinov2"])
def folder(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder of each of two kinds of backbone."""
    return save_backbone(request.param, tmp_path_factory.mktemp(request.param))


@pytest.fixture
def backbone(folder: Path) -> Backbone:
    return Backbone.from_pretrained(folder)


@pytest.fixture(scope="session")
def vit_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return save_backbone("vit", tmp_path_factory.mktemp("vit_alone"))


@pytest.fixture
def vit(vit_folder: Path) -> Backbone:
    return Backbone.from_pretrained(vit_folder)
