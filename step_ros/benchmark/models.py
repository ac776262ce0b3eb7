"""The networks that are measured: real sizes, and random weights, since these do not change the cost."""

from __future__ import annotations

import json
from pathlib import Path

import torch

from step_ros.backbones import Backbone
from step_ros.frames import ClipSpec
from step_ros.probes import Head, HeadConfig, ProbeConfig

BACKBONES = {"vits14": (384, 12, 6), "vitb14": (768, 12, 12), "vitl14": (1024, 24, 16)}
"""DINOv2 at 224 x 224: D, layers, attention heads."""

NUM_CLASSES = 20
"""K, for every task."""

_CHANNELS_A_HEAD = 64

_PREPROCESSOR = {
    "do_resize": True,
    "size": {"shortest_edge": 256},
    "resample": 3,
    "do_center_crop": True,
    "crop_size": {"height": 224, "width": 224},
    "do_rescale": True,
    "rescale_factor": 1 / 255,
    "do_normalize": True,
    "image_mean": [0.485, 0.456, 0.406],
    "image_std": [0.229, 0.224, 0.225],
}


def random_backbone(name: str, folder: Path, device: torch.device) -> Backbone:
    """A DINOv2 of this size, saved to a folder and loaded as a user's would be.

    Args:
        name: one of `BACKBONES`.
        folder: where to; made if need be.
        device: where it shall run.

    Raises:
        ValueError: there is no such size.
    """
    if name not in BACKBONES:
        raise ValueError(f"there is no backbone {name!r}; there are {', '.join(BACKBONES)}")
    import transformers

    dim, layers, heads = BACKBONES[name]
    config = transformers.Dinov2Config(
        hidden_size=dim, num_hidden_layers=layers, num_attention_heads=heads, image_size=224, patch_size=14
    )
    torch.manual_seed(0)
    transformers.Dinov2Model(config).save_pretrained(folder)
    (folder / "preprocessor_config.json").write_text(json.dumps(_PREPROCESSOR))
    return Backbone.from_pretrained(folder, device=device)


def random_heads(backbone: Backbone, tasks: int, frames: int) -> dict[str, Head]:
    """STEP heads on a backbone's tokens, by task, each with `NUM_CLASSES` labels."""
    torch.manual_seed(1)
    labels = tuple(f"label_{index}" for index in range(NUM_CLASSES))
    probe = ProbeConfig(backbone.dim, max(1, backbone.dim // _CHANNELS_A_HEAD))
    heads = {}
    for index in range(tasks):
        config = HeadConfig(f"task_{index}", labels, ClipSpec(frames, frames / 10), probe, backbone.identity)
        heads[config.task] = Head(config).to(backbone.device).eval()
    return heads
