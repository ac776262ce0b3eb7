"""Do a backbone's config and its weights agree about its size? Asked before memory is allocated."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch

from step_ros.backbones.errors import BackboneError
from step_ros.backbones.safetensors_header import SafetensorsHeaderError, TensorEntry, read_header

WEIGHTS_FILE = "model.safetensors"
INDEX_FILE = "model.safetensors.index.json"

MAX_SIZES = {
    "hidden_size": 16_384,
    "intermediate_size": 131_072,
    "num_hidden_layers": 512,
    "num_attention_heads": 1_024,
    "image_size": 8_192,
    "patch_size": 1_024,
    "num_channels": 16,
    "num_register_tokens": 1_024,
    "mlp_ratio": 64,
    "projection_dim": 16_384,
    "vocab_size": 10_000_000,
    "max_position_embeddings": 1_000_000,
}
"""Far above any real backbone; they keep a broken config from asking for sizes that overflow."""

_FLOATS = ("F64", "F32", "F16", "BF16")


def check_config(folder: Path, config: Mapping[str, Any]) -> None:
    """Make sure that the sizes in config.json are whole numbers within reason.

    Raises:
        BackboneError: one is not; the message names it.
    """
    parts = (config, config.get("vision_config"), config.get("text_config"))
    for part in parts:
        if not isinstance(part, Mapping):
            continue
        for name, maximum in MAX_SIZES.items():
            value = part.get(name)
            if value is None:
                continue
            if isinstance(value, bool) or not isinstance(value, int) or not 0 <= value <= maximum:
                raise BackboneError(
                    f"{folder / 'config.json'}: {name} must be a whole number up to {maximum}, got {value!r}"
                )


def check_weights(folder: Path, model_class: Any) -> None:
    """Make sure that the network that config.json asks for is no larger than the weights beside it.

    The network is built without memory, and its parameters are counted. Names are not compared: transformers
    renames old checkpoints', and refuses shapes that differ by itself.

    Raises:
        BackboneError: it is larger, or a file of weights is missing, corrupt, or not where it should be.
    """
    tensors = _read_headers(folder)
    other = sorted({entry.dtype for entry in tensors.values() if entry.dtype not in _FLOATS} - {"I64"})
    if other:
        raise BackboneError(f"the weights in {folder} are of type {', '.join(other)}; expected {_FLOATS}")
    held = sum(entry.numel for entry in tensors.values() if entry.dtype in _FLOATS)
    try:
        config = model_class.config_class.from_pretrained(folder, local_files_only=True)
        with torch.device("meta"):  # shapes without memory
            network = model_class(config)
    except Exception as error:  # transformers raises what it likes for a config that makes no sense
        raise BackboneError(f"{folder / 'config.json'} cannot be used: {error}") from error
    asked = sum(parameter.numel() for parameter in network.parameters())
    # Heads that are not built here, such as CLIP's pooling, make the file larger, never smaller; what ViT's
    # pooler would add is not in every file.
    spare = sum(
        p.numel() for name, p in network.named_parameters() if "pooler" in name or "mask_token" in name
    )
    if asked - spare > held:
        raise BackboneError(
            f"{folder / 'config.json'} asks for a network of {asked:,} parameters, but the weights beside it "
            f"are {held:,}; the two do not belong together, fetch or save them again"
        )


def _read_headers(folder: Path) -> dict[str, TensorEntry]:
    """All tensors of a folder's weights, whether in one file or in several."""
    try:
        if (folder / WEIGHTS_FILE).is_file():
            return read_header(folder / WEIGHTS_FILE)
        tensors: dict[str, TensorEntry] = {}
        for name in _shards(folder / INDEX_FILE):
            tensors.update(read_header(folder / name))
        return tensors
    except SafetensorsHeaderError as error:
        raise BackboneError(f"the weights in {folder} cannot be loaded: {error}") from error


def _shards(index: Path) -> list[str]:
    """The files that an index names; each must lie beside it."""
    try:
        content = json.loads(index.read_text(encoding="utf-8"))
        names = sorted(set(content["weight_map"].values()))
    except OSError as error:
        raise BackboneError(f"{index} cannot be read: {error.strerror or error}") from error
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
        raise BackboneError(
            f"{index} is not an index of weights ({error}); fetch or save it again"
        ) from error
    for name in names:
        if not isinstance(name, str) or Path(name).name != name or not name.endswith(".safetensors"):
            raise BackboneError(f"{index} names the file {name!r}; weights lie beside it and are safetensors")
    return names
