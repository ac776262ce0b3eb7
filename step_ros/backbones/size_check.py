"""Do a backbone's config and its weights agree about its size? Asked before memory is allocated."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import torch

from step_ros.backbones.errors import BackboneError
from step_ros.backbones.model_file import ModelFileError, read_json
from step_ros.backbones.safetensors_header import SafetensorsHeaderError, TensorEntry, read_header

WEIGHTS_FILE = "model.safetensors"
INDEX_FILE = "model.safetensors.index.json"

MAX_SIZES = {
    "hidden_size": 16_384,
    "intermediate_size": 131_072,
    "num_hidden_layers": 128,
    "num_attention_heads": 1_024,
    "image_size": 8_192,
    "patch_size": 1_024,
    "num_channels": 16,
    "num_register_tokens": 1_024,
    "mlp_ratio": 64,
    "projection_dim": 16_384,
    "vocab_size": 10_000_000,
    "max_position_embeddings": 1_000_000,
    "num_labels": 100_000,
}
"""Far above any real backbone; they keep a broken config from asking for sizes that overflow."""

_FLOATS = ("F64", "F32", "F16", "BF16")

_PARTS = ("vision_config", "text_config")

_ELSEWHERE = "transformers_weights"
"""By it a config.json names the file that its weights are in, and that may be any."""

# What a classifier on top would be called, and by what implementation, fetched from somewhere, layers run.
_NOT_THE_NETWORKS = (
    *("id2label", "label2id", "num_labels", "problem_type", "quantization_config"),
    *("attn_implementation", "_attn_implementation", "_attn_implementation_internal"),
)


def check_config(folder: Path, config: Mapping[str, Any]) -> None:
    """Make sure that the sizes in config.json are whole numbers within reason, and weights are beside it.

    Raises:
        BackboneError: one is not; the message names it.
    """
    for part in (config, *(config.get(name) for name in _PARTS)):
        if not isinstance(part, Mapping):
            continue
        if part.get(_ELSEWHERE) is not None:
            raise BackboneError(
                f"{folder / 'config.json'} takes its weights from {part[_ELSEWHERE]!r:.80}; weights are in "
                f"{WEIGHTS_FILE} beside it, or in what {INDEX_FILE} lists"
            )
        for name, maximum in MAX_SIZES.items():
            value = part.get(name)
            if value is None:
                continue
            if isinstance(value, bool) or not isinstance(value, int) or not 0 <= value <= maximum:
                raise BackboneError(
                    f"{folder / 'config.json'}: {name} must be a whole number up to {maximum}, got {value!r}"
                )


def network_config(folder: Path, model_class: Any, config: Mapping[str, Any]) -> Any:
    """What transformers builds a network from: of a config.json that was checked, what is about the network.

    Raises:
        BackboneError: it makes no sense.
    """
    config_class = model_class.config_class
    part = config.get(config_class.base_config_key or "")
    try:
        return config_class.from_dict(_about_the_network(part if isinstance(part, Mapping) else config))
    except Exception as error:  # transformers raises what it likes for a config that makes no sense
        raise BackboneError(f"{folder / 'config.json'} cannot be used: {error}") from error


def _about_the_network(config: Mapping[str, Any]) -> dict[str, Any]:
    content = {name: value for name, value in config.items() if name not in _NOT_THE_NETWORKS}
    for name in _PARTS:
        if isinstance(content.get(name), Mapping):
            content[name] = _about_the_network(content[name])
    return content


def check_weights(folder: Path, model_class: Any, config: Any) -> list[Path]:
    """Make sure that the network that a config asks for is no larger than the weights beside it.

    The network is built without memory, and its parameters are counted. Names are not compared: transformers
    renames old checkpoints', and refuses shapes that differ by itself.

    Args:
        folder: of the weights.
        model_class: of transformers.
        config: what `network_config` gives.

    Returns:
        The files of the weights.

    Raises:
        BackboneError: it is larger, or a file of weights is missing, corrupt, or not where it should be.
    """
    files = [folder / WEIGHTS_FILE] if (folder / WEIGHTS_FILE).exists() else _shards(folder / INDEX_FILE)
    tensors = _read_headers(folder, files)
    other = sorted({entry.dtype for entry in tensors.values() if entry.dtype not in _FLOATS} - {"I64"})
    if other:
        raise BackboneError(f"the weights in {folder} are of type {', '.join(other)}; expected {_FLOATS}")
    held = sum(entry.numel for entry in tensors.values() if entry.dtype in _FLOATS)
    try:
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
    return files


def _read_headers(folder: Path, files: Sequence[Path]) -> dict[str, TensorEntry]:
    """All tensors of a folder's weights, whether in one file or in several."""
    try:
        tensors: dict[str, TensorEntry] = {}
        for file in files:
            tensors.update(read_header(file))
        return tensors
    except SafetensorsHeaderError as error:
        raise BackboneError(f"the weights in {folder} cannot be loaded: {error}") from error


def _shards(index: Path) -> list[Path]:
    """The files that an index names; each must lie beside it, links followed: in the hub's cache all are."""
    try:
        names = sorted(set(read_json(index)["weight_map"].values()))
    except ModelFileError as error:
        raise BackboneError(str(error)) from error
    except (KeyError, TypeError, AttributeError) as error:
        raise BackboneError(
            f"{index} is not an index of weights ({error}); fetch or save it again"
        ) from error
    for name in names:
        if not isinstance(name, str) or Path(name).name != name or not name.endswith(".safetensors"):
            raise BackboneError(f"{index} names the file {name!r}; weights lie beside it and are safetensors")
        if (index.parent / name).resolve().parent != index.resolve().parent:
            raise BackboneError(
                f"{index.parent / name} is a link out of the folder; put the file itself there"
            )
    return [index.parent / name for name in names]
