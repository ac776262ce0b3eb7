"""Fits one head a task on a store: all heads read the same batches."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from types import MappingProxyType

import torch
from rich.console import Console

from step_ros.backbones import Backbone
from step_ros.peft import ADAPTERS, Adapter, AdapterError
from step_ros.peft.adapter_config import check_kind
from step_ros.peft.adapter_folder import load_backbone
from step_ros.probes import Head
from step_ros.processor import choose_device, multiplies_bfloat16
from step_ros.training.adapted_fit import fit_adapted
from step_ros.training.calibration import calibrate
from step_ros.training.class_names import NameReaders, check_text_side
from step_ros.training.closed_form import fit_closed_form
from step_ros.training.fit_options import FitOptions
from step_ros.training.heads import TaskHeads, new_heads
from step_ros.training.lesson import Fitted, Lesson, prepare_lesson
from step_ros.training.loop import train
from step_ros.training.raw_patches import RawPatches
from step_ros.training.store import TokenStore
from step_ros.training.window_tokens import KEPT_BYTES, read_windows


def fit(
    store: TokenStore,
    tasks: Sequence[str],
    options: FitOptions,
    *,
    checkpoints: Path | None = None,
    console: Console | None = None,
    backbone: str | Path | None = None,
    backbone_out: Path | None = None,
    adapters: Mapping[str, type[Adapter]] = ADAPTERS,
    name_readers: NameReaders = MappingProxyType({}),
) -> Fitted:
    """Train a head a task on the store's training clips; temperatures are fitted on its validation clips.

    With `options.adapter`, the backbone is adapted to these tasks with the heads, which all share it.

    Args:
        store: where tokens are.
        tasks: columns of the data set, or the built-in `direction`.
        options: how.
        checkpoints: a folder: there a training leaves checkpoints, and a killed one goes on from them when
            run again. `remove_checkpoints` deletes them once the heads are saved.
        console: where progress is shown.
        backbone: folder or hub name of the backbone to adapt, or, on a store of pixels and with no adapter,
            of one to train on as it is; not read where the store holds tokens.
        backbone_out: folder for the adapted backbone.
        adapters: those that there are, by name; the node can run the ones that it knows without being told.
        name_readers: of those that have a text side.

    Raises:
        TokenStoreError: the store lacks a task.
        SplitError: there are no clips to train on.
        ValueError: the device is none of this machine's.
        DivergedError: weights or losses became infinite or NaN, and no state before that is known.
        AdapterError: there is no such adapter, or store, backbone, adapter and memory do not fit each other.
    """
    if options.adapter.kind:
        check_kind(options.adapter.kind, adapters)
    check_text_side(options.adapter, name_readers)
    choose_device(options.device)
    torch.manual_seed(options.seed)
    console = console or Console()
    if options.precision == "auto" and options.probe != "moments":
        options = replace(options, precision=fastest_precision(options.device))
        console.print(f"computing in {options.precision}")
    lesson = prepare_lesson(store, tasks, options, console)
    if options.adapter.kind:
        return fit_adapted(
            lesson,
            options,
            source=backbone,
            out=backbone_out,
            checkpoints=checkpoints,
            console=console,
            adapters=adapters,
            name_readers=name_readers,
        )
    unchanged = load_unchanged(store, backbone, adapters) if store.holds_pixels else None
    return fit_heads(lesson, options, unchanged, checkpoints=checkpoints, console=console)


def fit_heads(
    lesson: Lesson,
    options: FitOptions,
    backbone: Backbone | None,
    *,
    checkpoints: Path | None,
    console: Console,
) -> Fitted:
    """Train heads on tokens that stay as they are: stored ones, or what a backbone makes of stored pixels."""
    identity = lesson.store.backbone
    if backbone is not None:
        identity = backbone.to(options.device).identity
    tokens_of = read_windows(lesson.store, backbone, keep_bytes=KEPT_BYTES)
    heads = new_heads(lesson, identity, tokens_of, options)
    if options.probe == "moments":
        held_out = fit_closed_form(heads, lesson, tokens_of, options)
        fitted = Fitted(heads, lesson.split, 0, backbone=backbone, precision="float32", held_out=held_out)
    else:
        state = train(TaskHeads(heads), lesson, tokens_of, options, checkpoints=checkpoints, console=console)
        fitted = Fitted(
            *(heads, lesson.split, state.step, state.curve, backbone),
            diverged_at=state.diverged_at,
            precision=options.precision,
        )
    for head in heads.values():
        calibrate(head.to(options.device).eval(), lesson, tokens_of, options)
    return fitted


def load_unchanged(
    store: TokenStore, source: str | Path | None, adapters: Mapping[str, type[Adapter]]
) -> Backbone:
    """The backbone, plain or adapted before, that makes tokens of a store's pixels.

    Args:
        store: of pixels.
        source: folder or hub name of the backbone.
        adapters: those that it may have, by name.

    Raises:
        AdapterError: no backbone is given, or one that sees other pixels than the store holds.
        BackboneError: it cannot be had.
    """
    if source is None:
        raise AdapterError(
            f"{store.root} holds pixels: adapt a backbone with --adapter.kind and --backbone, train on one "
            "as it is with --backbone alone, or extract tokens without --pixels"
        )
    backbone = load_backbone(source, adapters=adapters)
    stored, own = store.backbone, RawPatches(backbone.encoder).identity
    if not replace(own, sha256="").same_tokens(replace(stored, sha256="")):
        raise AdapterError(f"{store.root} holds pixels for {stored}; {own} sees others, extract them for it")
    return backbone


def save_heads(heads: dict[str, Head], out: Path) -> None:
    """Write a model folder a task under `out`."""
    for task, head in heads.items():
        head.save_pretrained(out / task)


def fastest_precision(device: str) -> str:
    """bfloat16 where it is multiplied in hardware, else float32."""
    on_gpu = torch.device(device).type == "cuda"
    return "bfloat16" if (torch.cuda.is_bf16_supported() if on_gpu else multiplies_bfloat16()) else "float32"
