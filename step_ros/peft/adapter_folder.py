"""The folder that an adapted backbone is kept in, and loading a backbone whether it is adapted or plain.

An adapter that can be merged is saved as a plain checkpoint of transformers, with nothing of an adapter left.
Any other is a folder of its own: config.json says which adapter and names the backbone it belongs to,
model.safetensors holds the adapter's weights alone. That backbone is looked for in `base/` below the folder,
and then where it was when the adapter was trained.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file, save_file

from step_ros.atomic_files import new_files
from step_ros.backbones import Backbone, BackboneError, BackboneIdentity, Encoder
from step_ros.backbones.finite_weights import not_finite
from step_ros.backbones.model_file import ModelFileError, read_json
from step_ros.backbones.model_folder import ModelFolderError, display_name, model_folder, model_source
from step_ros.backbones.safetensors_header import SafetensorsHeaderError, read_header
from step_ros.backbones.vision_tower import quiet_transformers
from step_ros.peft.adapted_tower import AdaptedTower
from step_ros.peft.adapter import Adapter
from step_ros.peft.adapter_config import ADAPTERS, AdapterConfig, AdapterError
from step_ros.peft.merge import merged_network, why_not_merged

MODEL_TYPE = "step_ros_adapter"
"""In an adapter's config.json, where transformers' folders name their kind of network."""

_CONFIG, _WEIGHTS, _PREPROCESSOR = "config.json", "model.safetensors", "preprocessor_config.json"
_BASE = "base"


def save_adapted(adapted: AdaptedTower, base: Backbone, folder: Path, *, source: str | Path) -> Backbone:
    """Save an adapted backbone, merged where that can be, and load it as others will.

    Args:
        adapted: the trained adapter in its network.
        base: the backbone that it was made of.
        folder: where to.
        source: folder or hub name of `base`.
    """
    if why_not_merged(adapted) is None:
        with new_files(folder, last=_CONFIG) as draft, quiet_transformers():
            merged_network(adapted).save_pretrained(draft)
            content = base.preprocess.to_json()
            (draft / _PREPROCESSOR).write_text(json.dumps(content, indent=2) + "\n", encoding="utf-8")
        return load_backbone(folder, device=base.device)
    content = {
        "model_type": MODEL_TYPE,
        "adapter": adapted.config.to_json(),
        "base": model_source(source),
        "base_identity": asdict(base.identity),
    }
    weights = {
        name: tensor.detach().to("cpu", torch.float32).contiguous()
        for name, tensor in adapted.adapters.state_dict().items()
    }
    with new_files(folder, last=_CONFIG) as draft:
        (draft / _CONFIG).write_text(json.dumps(content, indent=2) + "\n", encoding="utf-8")
        save_file(weights, draft / _WEIGHTS, metadata={"format": "pt"})
    own = {adapted.config.kind: adapted.adapter_class}
    return load_backbone(folder, device=base.device, adapters=own)


def load_backbone(
    name_or_folder: str | Path,
    *,
    device: str | torch.device = "cpu",
    local_files_only: bool = False,
    adapters: Mapping[str, type[Adapter]] = ADAPTERS,
) -> Backbone:
    """Load a backbone, plain or adapted, from a folder or from the Hugging Face hub by name.

    Args:
        name_or_folder: as `Backbone.from_pretrained` takes it, or an adapter's folder.
        device: where the network runs.
        local_files_only: only look in the hub's cache on this machine, not on the hub.
        adapters: which adapters it may have, by name. Those that mix the frames of a window are for callers
            that encode whole windows, T frames after T frames.

    Raises:
        BackboneError: it cannot be had, its files are not usable, it belongs to another backbone, or its
            adapter is none of `adapters`.
    """
    try:
        patterns = (_CONFIG, _PREPROCESSOR, _WEIGHTS, "model.safetensors.index.json", "model-*.safetensors")
        folder = model_folder(name_or_folder, files=patterns, local_files_only=local_files_only)
        content = read_json(folder / _CONFIG)
    except ModelFolderError as error:
        raise BackboneError(f"backbone: {error}") from error
    except ModelFileError:  # what is wrong with it, the plain backbone says
        content = None
    if not isinstance(content, Mapping) or content.get("model_type") != MODEL_TYPE:
        return Backbone.from_pretrained(name_or_folder, device=device, local_files_only=local_files_only)
    config, source, expected = _read(folder / _CONFIG, content)
    _check_kind(folder, config, adapters)
    found = folder / _BASE if (folder / _BASE).is_dir() else source
    base = Backbone.from_pretrained(found, device=device, local_files_only=local_files_only)
    if not expected.same_tokens(base.identity):
        raise BackboneError(
            f"the adapter in {folder} was trained on the backbone {expected}, but {found} is "
            f"{base.identity}; put the one it was trained on in {folder / _BASE}"
        )
    adapted = AdaptedTower(base.tower, config, base.image_size, adapters)
    _load_weights(adapted, folder / _WEIGHTS)
    names = {"id": display_name(name_or_folder), "source": model_source(name_or_folder)}
    backbone = Backbone(Encoder.of(adapted.tower, base.preprocess, **names))
    backbone.check_tokens(config.num_frames if config.sees_time else 1)
    return backbone.to(device)


def _read(path: Path, content: Mapping[str, Any]) -> tuple[AdapterConfig, str, BackboneIdentity]:
    try:
        config = AdapterConfig.from_json(content["adapter"])
        return config, str(content["base"]), BackboneIdentity(**content["base_identity"])
    except KeyError as error:
        raise BackboneError(f"{path} lacks {error}; train the adapter again") from error
    except (AdapterError, TypeError) as error:
        raise BackboneError(f"{path}: {error}") from error


def _check_kind(folder: Path, config: AdapterConfig, adapters: Mapping[str, type[Adapter]]) -> None:
    """Refuse an adapter that is none of these, and say so if it mixes frames where none of these does."""
    if config.sees_time and not any(adapter.sees_time for adapter in adapters.values()):
        raise BackboneError(
            f"{folder} is a backbone with {config.kind}, whose tokens depend on all {config.num_frames} "
            "frames of a window: it cannot encode the frames of a camera one by one, each once. Judge it by "
            "`step-ros evaluate`; for the node train heads on a plain backbone, or with VPT or AdaptFormer"
        )
    try:
        config.find(adapters)
    except AdapterError as error:
        raise BackboneError(f"{folder / _CONFIG}: {error}") from error


def _load_weights(adapted: AdaptedTower, path: Path) -> None:
    """Load an adapter's weights, whose names and shapes are compared before anything is read."""
    expected = {name: tuple(tensor.shape) for name, tensor in adapted.adapters.state_dict().items()}
    try:
        found = {name: entry.shape for name, entry in read_header(path).items()}
        if found != expected:
            differing = sorted(n for n in {*found, *expected} if found.get(n) != expected.get(n))
            raise BackboneError(
                f"{path} is of another adapter or another depth: config.json asks for {len(expected)} "
                f"tensors in {len(adapted.adapters)} blocks, the file has {len(found)}; differing are "
                f"{differing[:3]}"
            )
        weights = load_file(path)
        if broken := not_finite(weights.items()):
            raise BackboneError(
                f"{path} holds values that are not finite, in {broken[0]}; train the adapter again"
            )
        adapted.adapters.load_state_dict(weights)
    except SafetensorsHeaderError as error:
        raise BackboneError(str(error)) from error
    except (SafetensorError, OSError) as error:
        raise BackboneError(f"{path} is corrupt ({error}); train the adapter again") from error
