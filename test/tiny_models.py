"""Backbones of random weights, small enough to make for a test, in the folders that transformers makes."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import torch
import transformers
from safetensors.torch import load_file, save_file

from step_ros.backbones.vision_tower import quiet_transformers


@pytest.fixture(autouse=True)
def one_thread() -> Iterator[None]:
    """Networks this small are faster on one core, by far where others use the rest."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)


def save_vit(folder: Path, *, seed: int = 0, **sizes: Any) -> Path:
    """A ViT: images of 32 by 32 pixels, four patches, D = 16 and one block, but for what `sizes` say."""
    torch.manual_seed(seed)
    given = {
        "hidden_size": 16,
        "num_hidden_layers": 1,
        "num_attention_heads": 2,
        "intermediate_size": 32,
        "image_size": 32,
        "patch_size": 16,
        **sizes,
    }
    network = transformers.ViTModel(transformers.ViTConfig(**given), add_pooling_layer=False)
    with quiet_transformers():
        network.save_pretrained(folder)
    size = {"height": given["image_size"], "width": given["image_size"]}
    write_preprocessor(folder, size=size, resample=2)
    return folder


def overflow_in_white(folder: Path, value: float = 1e18) -> Path:
    """Let a saved ViT's weights be so large that white patches overflow, and middle grey ones do not.

    Args:
        folder: of the backbone.
        value: of all weights of a channel: 1e18 is too much for float32, 1e3 for float16.
    """
    weights = load_file(folder / "model.safetensors")
    (name,) = [name for name in weights if name.endswith("patch_embeddings.projection.weight")]
    weights[name][0] = value
    save_file(weights, folder / "model.safetensors", metadata={"format": "pt"})
    return folder


def save_clip_with_words(folder: Path) -> Path:
    """A whole CLIP: both towers, their projections, and a tokenizer of letters. Image tokens have D = 24."""
    letters = "abcdefghijklmnopqrstuvwxyz0123456789"
    tokens = [*letters, *(f"{letter}</w>" for letter in letters), "<|startoftext|>", "<|endoftext|>"]
    (folder / "vocab.json").write_text(json.dumps({token: i for i, token in enumerate(tokens)}))
    (folder / "merges.txt").write_text("#version: 0.2\n")
    transformers.CLIPTokenizer.from_pretrained(folder).save_pretrained(folder)
    text = {"hidden_size": 16, "intermediate_size": 32, "num_hidden_layers": 2, "num_attention_heads": 2}
    text |= {"vocab_size": 74, "bos_token_id": 72, "eos_token_id": 73, "pad_token_id": 73}
    vision = {"hidden_size": 24, "intermediate_size": 32, "num_hidden_layers": 1, "num_attention_heads": 2}
    vision |= {"image_size": 32, "patch_size": 16}
    torch.manual_seed(0)
    config = transformers.CLIPConfig(text_config=text, vision_config=vision, projection_dim=12)
    with quiet_transformers():
        transformers.CLIPModel(config).save_pretrained(folder)
    size = {"height": 32, "width": 32}
    write_preprocessor(folder, size=size, crop_size=size)
    return folder


def write_preprocessor(folder: Path, **settings: Any) -> None:
    """How images of a backbone are prepared, where `settings` say nothing of it to plus or minus one."""
    content = {"image_mean": [0.5, 0.5, 0.5], "image_std": [0.5, 0.5, 0.5], **settings}
    (folder / "preprocessor_config.json").write_text(json.dumps(content))
