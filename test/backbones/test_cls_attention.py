"""What a backbone looks at by itself."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import torch

from step_ros.backbones import Backbone
from step_ros.backbones.cls_attention import cls_attention


def tiny_backbone(folder: Path) -> Backbone:
    import json

    import transformers

    torch.manual_seed(0)
    sizes = {"hidden_size": 16, "num_hidden_layers": 2, "num_attention_heads": 2, "intermediate_size": 32}
    config = transformers.ViTConfig(**sizes, image_size=32, patch_size=8)
    transformers.ViTModel(config, add_pooling_layer=False).save_pretrained(folder)
    means = {"image_mean": [0.5, 0.5, 0.5], "image_std": [0.5, 0.5, 0.5]}
    (folder / "preprocessor_config.json").write_text(
        json.dumps({"size": {"height": 32, "width": 32}, "resample": 2, **means})
    )
    return Backbone.from_pretrained(folder)


def test_a_share_for_every_patch_and_the_backbone_stays_as_it_was(tmp_path: Path) -> None:
    backbone = tiny_backbone(tmp_path)
    frames = np.random.default_rng(0).integers(0, 256, (2, 48, 64, 3), dtype=np.uint8)
    before = backbone.encode(frames)
    attention = cls_attention(backbone, frames)
    assert attention.shape == (2, 16)
    assert (attention > 0).all() and (attention.sum(1) < 1).all()
    torch.testing.assert_close(backbone.encode(frames), before)
    assert backbone.network.config._attn_implementation != "eager"
