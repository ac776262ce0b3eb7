"""From the names of heads to a perceiver that is ready to run."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from pathlib import Path

import torch

from step_ros.backbones import BackboneError, select_engine
from step_ros.peft.adapter_folder import load_backbone
from step_ros.perception.perceiver import Perceiver
from step_ros.probes import Head, HeadError
from step_ros.probes.streaming.heads import DEFAULT_MEMORY_LIMIT_MB
from step_ros.processor import choose_device
from step_ros.shared_files import shared_folder

BACKBONE_FOLDER = "backbone"
"""A backbone in a folder of this name, beside its heads' folders, is found by itself."""

_GIVE_ONE = "Give its folder: backbone:=FOLDER to the node, --backbone FOLDER to `step-ros replay`"

ALL_TASKS = "all"
"""As the only one of the tasks asked for: whatever there is a head for."""


def load_perceiver(
    heads: Sequence[str | Path],
    *,
    backbone: str | Path | None = None,
    device: str = "auto",
    engine: str = "auto",
    max_held: int | None = None,
    heads_mode: str = "fast",
    heads_memory_mb: float = DEFAULT_MEMORY_LIMIT_MB,
) -> Perceiver:
    """Load heads and the backbone that they share.

    Args:
        heads: folders, names of bundled heads (``tabletop/object``), or names on the Hugging Face hub.
        backbone: likewise; None takes what `backbone_of` finds for the first head. Of a head that is in a
            folder here, that is not fetched from the hub: it must be in the hub's cache, or be given.
        device: a torch device, or ``auto``: the first GPU where there is one, else the CPU.
        engine: what runs the backbone, see `select_engine`; ``auto`` is the fastest whose tokens are right.
        max_held: see `TokenWindow`.
        heads_mode: see `Perceiver`.
        heads_memory_mb: see `Perceiver`.

    Raises:
        HeadError: a head cannot be had, two heads answer the same task, or they do not fit each other or
            the backbone; the message names both.
        BackboneError: the backbone cannot be had.
        EngineError: the engine asked for by name cannot be had.
        ValueError: `device` is not one that torch knows, or `engine` is none.
    """
    chosen = choose_device(device)
    loaded = load_heads(heads, device=chosen)
    first = find_model(heads[0])
    found = find_model(backbone) if backbone else backbone_of(first, next(iter(loaded.values())))
    # What a head's config names, nobody has asked for: it is taken from this machine, not from the network.
    unasked = not backbone and isinstance(first, Path)
    try:
        shared = load_backbone(found, device=chosen, local_files_only=unasked)
    except BackboneError as error:
        if backbone or isinstance(found, Path):
            raise
        raise BackboneError(_not_to_be_had(next(iter(loaded.values())), error)) from error
    perceiver = Perceiver(
        shared, loaded, max_held=max_held, heads_mode=heads_mode, heads_memory_mb=heads_memory_mb
    )
    # Last, because it takes seconds, or with TensorRT minutes: what does not fit is known by now.
    shared.engine = select_engine(shared.encoder, engine)
    return perceiver


def load_heads(names: Sequence[str | Path], *, device: str | torch.device) -> dict[str, Head]:
    """Load heads, by the tasks that they answer.

    Args:
        names: folders, names of bundled heads, or names on the Hugging Face hub.
        device: where they shall run.

    Raises:
        HeadError: one cannot be had, there are none, or two answer the same task.
    """
    if not names:
        raise HeadError("no heads were given; name at least one folder or hub name")
    loaded: dict[str, Head] = {}
    for name in names:
        source = find_model(name)
        head = Head.from_pretrained(source, device=device)
        if head.config.task in loaded:
            raise HeadError(
                f"two heads answer the task {head.config.task!r}; the second is {source}. Leave one out"
            )
        loaded[head.config.task] = head
    return loaded


def chosen_tasks(heads: Mapping[str, Head], tasks: Sequence[str]) -> dict[str, Head]:
    """The heads whose tasks are on.

    Raises:
        HeadError: there is no head for a task, or no task is on.
    """
    if list(tasks) == [ALL_TASKS]:
        return dict(heads)
    unknown = [task for task in tasks if task not in heads]
    if unknown or not tasks:
        raise HeadError(
            f"tasks must be [{ALL_TASKS}] or some of {', '.join(heads)}, got [{', '.join(tasks)}]"
        )
    return {task: heads[task] for task in heads if task in tasks}


def find_model(name: str | Path) -> str | Path:
    """A model's folder: as given, or below the bundled ``models``; any other name is the hub's business."""
    if Path(name).expanduser().is_dir():
        return Path(name).expanduser()
    bundled = bundled_models() / name
    return bundled if bundled.is_dir() else name


def bundled_models() -> Path:
    """The folder of the models that come with the package."""
    return shared_folder() / "models"


def backbone_of(source: str | Path, head: Head) -> str | Path:
    """Where the backbone of a head is.

    It is looked for in the folder ``backbone`` beside the head's – first beside the link, if it is one –,
    then where it was when the head was trained, then among the bundled models; else it is the hub's business.

    Raises:
        BackboneError: it was in a folder, and is in none of these.
    """
    known = head.config.backbone
    was_folder = os.path.isabs(known.source)
    folders = [Path(known.source)] if was_folder else []
    if isinstance(source, Path):
        places = (Path(os.path.abspath(source)), source.resolve())
        folders = [*(place.parent / BACKBONE_FOLDER for place in places), *folders]
    for folder in folders:
        if folder.is_dir():
            return folder
    found = find_model(known.source if known.source and not was_folder else known.id)
    if was_folder and not isinstance(found, Path):
        raise BackboneError(
            f"head {head.config.task!r} was trained on the backbone in {known.source}, which is not there. "
            f"{_GIVE_ONE}, or put it into {folders[0]}"
        )
    return found


def _not_to_be_had(head: Head, error: BackboneError) -> str:
    """What to say of a head whose backbone is neither a folder nor to be had of the hub."""
    known = head.config.backbone
    if known.source:
        return f"head {head.config.task!r} was trained on a backbone of the Hugging Face hub: {error}"
    return (
        f"head {head.config.task!r} was trained on the backbone {known}, and does not know where that is. "
        f"{_GIVE_ONE}; if it is one of the Hugging Face hub, `hf download {known.id}` fetches it"
    )
