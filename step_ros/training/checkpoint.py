"""Lets a killed training go on where it was, to the same weights: all state in one safetensors file."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import Tensor, nn

FILE = "checkpoint.safetensors"


def save_checkpoint(
    folder: Path,
    step: int,
    about: dict[str, Any],
    modules: dict[str, nn.Module],
    optimizer: torch.optim.Optimizer,
    generator: torch.Generator,
    notes: dict[str, Any],
) -> None:
    """Write everything that the rest of a training depends on; the file appears only when it is whole.

    Args:
        folder: where `FILE` goes.
        step: how many steps are done.
        about: what is trained on what; a checkpoint of anything else is not resumed.
        modules: by name; one of them may hold the best weights so far.
        optimizer: its moments, by parameter.
        generator: of the batches drawn; torch's own is saved too.
        notes: plain values to keep.
    """
    tensors = {"rng.torch": torch.get_rng_state(), "rng.batches": generator.get_state()}
    for name, module in modules.items():
        tensors.update({f"module.{name}.{key}": tensor for key, tensor in _trained_state(module).items()})
    for index, state in optimizer.state_dict()["state"].items():
        tensors.update({f"optimizer.{index}.{key}": torch.as_tensor(value) for key, value in state.items()})
    tensors = {name: tensor.detach().cpu().clone().contiguous() for name, tensor in tensors.items()}
    folder.mkdir(parents=True, exist_ok=True)
    partial = folder / f"{FILE}.partial"
    save_file(tensors, partial, metadata={"step": str(step), "about": _text(about), "notes": _text(notes)})
    partial.rename(folder / FILE)


def load_checkpoint(
    folder: Path,
    about: dict[str, Any],
    modules: dict[str, nn.Module],
    optimizer: torch.optim.Optimizer,
    generator: torch.Generator,
) -> tuple[int, dict[str, Any]] | None:
    """Take up what `save_checkpoint` wrote.

    Returns:
        Steps done, and the notes; None if there is no checkpoint, or it is of something else or damaged.
    """
    try:
        with safe_open(folder / FILE, framework="pt") as file:
            metadata = file.metadata()
            if metadata["about"] != _text(about):
                return None
            tensors = {name: file.get_tensor(name).clone() for name in file.keys()}  # noqa: SIM118
    except (OSError, SafetensorError, KeyError, TypeError):
        return None
    for name, module in modules.items():
        module.load_state_dict({**module.state_dict(), **_below(tensors, f"module.{name}.")})
    content = optimizer.state_dict()
    by_parameter: dict[int, dict[str, Tensor]] = {}
    for name, tensor in _below(tensors, "optimizer.").items():
        index, key = name.split(".", 1)
        by_parameter.setdefault(int(index), {})[key] = tensor
    optimizer.load_state_dict({**content, "state": by_parameter})
    generator.set_state(tensors["rng.batches"])
    torch.set_rng_state(tensors["rng.torch"])
    return int(metadata["step"]), json.loads(metadata["notes"])


def remove_checkpoint(folder: Path) -> None:
    """Delete the checkpoint of a training that is done."""
    (folder / FILE).unlink(missing_ok=True)


def _trained_state(module: nn.Module) -> dict[str, Tensor]:
    """A module's state but for frozen weights, which a training that goes on has already."""
    frozen = {name for name, p in module.named_parameters(remove_duplicate=False) if not p.requires_grad}
    return {name: tensor for name, tensor in module.state_dict().items() if name not in frozen}


def _below(tensors: dict[str, Tensor], prefix: str) -> dict[str, Tensor]:
    return {name[len(prefix) :]: tensor for name, tensor in tensors.items() if name.startswith(prefix)}


def _text(values: dict[str, Any]) -> str:
    return json.dumps(values, sort_keys=True, default=str)
