"""Lets a killed training go on where it was, to the same weights: all state in one safetensors file."""

from __future__ import annotations

import json
import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import Tensor, nn

from step_ros.atomic_files import new_file, remove_drafts
from step_ros.training.processes import is_first_process

FILE = "checkpoint.safetensors"
HEADS_ALONE = "heads_alone"
"""Folder, within the one of a training with an adapter, of the training that comes before it."""


class Checkpoint:
    """What the rest of a training depends on, in a file that the first process writes.

    Args:
        folder: where the file goes; with None nothing is kept.
        about: what is trained on what; a checkpoint of anything else is not resumed.
        modules: by name; one of them may hold the best weights so far.
        optimizer: its moments, by parameter.
        generator: of the batches drawn; torch's own is saved too.
    """

    def __init__(
        self,
        folder: Path | None,
        about: dict[str, Any],
        modules: Mapping[str, nn.Module],
        optimizer: torch.optim.Optimizer,
        generator: torch.Generator,
    ) -> None:
        self._folder = folder
        self._about = _text(about)
        self._modules = modules
        self._optimizer = optimizer
        self._generator = generator

    def save(self, step: int, notes: dict[str, Any]) -> None:
        """Write everything, with plain values to keep; the file appears only when it is whole."""
        if self._folder is None or not is_first_process():
            return
        tensors = {"rng.torch": torch.get_rng_state(), "rng.batches": self._generator.get_state()}
        for name, module in self._modules.items():
            tensors.update({f"module.{name}.{key}": t for key, t in trained_state(module).items()})
        for index, state in self._optimizer.state_dict()["state"].items():
            tensors.update({f"optimizer.{index}.{key}": torch.as_tensor(t) for key, t in state.items()})
        tensors = {name: tensor.detach().cpu().clone().contiguous() for name, tensor in tensors.items()}
        self._folder.mkdir(parents=True, exist_ok=True)
        metadata = {"step": str(step), "about": self._about, "notes": _text(notes)}
        with new_file(self._folder / FILE) as draft:
            save_file(tensors, draft, metadata=metadata)

    def load(self) -> tuple[int, dict[str, Any]]:
        """Take up what `save` wrote: steps done, and the notes.

        None if there is no checkpoint, or it is of something else or damaged.
        """
        if self._folder is None:
            return 0, {}
        try:
            with safe_open(self._folder / FILE, framework="pt") as file:
                metadata = file.metadata()
                if metadata["about"] != self._about:
                    return 0, {}
                tensors = {name: file.get_tensor(name).clone() for name in file.keys()}  # noqa: SIM118
        except (OSError, SafetensorError, KeyError, TypeError):
            return 0, {}
        for name, module in self._modules.items():
            module.load_state_dict({**module.state_dict(), **_below(tensors, f"module.{name}.")})
        content = self._optimizer.state_dict()
        by_parameter: dict[int, dict[str, Tensor]] = {}
        for name, tensor in _below(tensors, "optimizer.").items():
            index, key = name.split(".", 1)
            by_parameter.setdefault(int(index), {})[key] = tensor
        self._optimizer.load_state_dict({**content, "state": by_parameter})
        self._generator.set_state(tensors["rng.batches"])
        torch.set_rng_state(tensors["rng.torch"])
        return int(metadata["step"]), json.loads(metadata["notes"])


def tasks_under_way(folder: Path) -> list[str]:
    """The tasks of the training that has left its checkpoint in a folder; none if there is none."""
    for path in (folder / FILE, folder / HEADS_ALONE / FILE):
        try:
            with safe_open(path, framework="pt") as file:
                return [*json.loads(file.metadata()["about"])["tasks"]]
        except (OSError, SafetensorError, ValueError, KeyError, TypeError):
            continue
    return []


def remove_checkpoints(folder: Path) -> None:
    """Delete the checkpoints of a training that is done, and whose heads are on the disk."""
    remove_drafts(folder)
    (folder / FILE).unlink(missing_ok=True)
    shutil.rmtree(folder / HEADS_ALONE, ignore_errors=True)


def trained_state(module: nn.Module) -> dict[str, Tensor]:
    """A module's state but for frozen weights, which a training that goes on has already."""
    frozen = {name for name, p in module.named_parameters(remove_duplicate=False) if not p.requires_grad}
    return {name: tensor for name, tensor in module.state_dict().items() if name not in frozen}


def _below(tensors: dict[str, Tensor], prefix: str) -> dict[str, Tensor]:
    return {name[len(prefix) :]: tensor for name, tensor in tensors.items() if name.startswith(prefix)}


def _text(values: dict[str, Any]) -> str:
    return json.dumps(values, sort_keys=True, default=str)
