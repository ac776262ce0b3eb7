"""Fits one head a task on cached tokens: all heads read the same batches."""

from __future__ import annotations

import shutil
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

import torch
from rich.console import Console
from torch import nn

from step_ros.backbones import Backbone, BackboneIdentity
from step_ros.peft.text_side import ClipText, merge_text_side, put_text_side
from step_ros.probes import Head, HeadConfig, ProbeConfig
from step_ros.training.adapted_training import begin_adapting, left_alone
from step_ros.training.adapter_options import AdapterOptions
from step_ros.training.calibration import fit_rejection_threshold, fit_temperature
from step_ros.training.checkpoint import remove_checkpoint
from step_ros.training.fit_options import FitOptions
from step_ros.training.raw_patches import EncodedWindows, WindowEncoder
from step_ros.training.splits import Split, split_clips, untrained_classes
from step_ros.training.targets import label_of, targets_of, with_backwards
from step_ros.training.token_store import TokenStore
from step_ros.training.training_loop import is_first_process, run
from step_ros.training.window_logits import window_logits
from step_ros.training.windows import (
    DIRECTION,
    Window,
    WindowTokens,
    clip_windows,
    partners,
    sliding_windows,
    tasks_of,
)

Tokens = WindowTokens | EncodedWindows

_HEADS_ALONE = "heads_alone"

_KEPT_BYTES = 4 * 10**9
"""Tokens of a frozen backbone that are kept, so that most windows pass it once."""


@dataclass
class Fitted:
    """What a training made."""

    heads: dict[str, Head]
    """By task, in evaluation mode, on the device that they were trained on."""
    split: Split
    """Which clips were for what."""
    steps: int
    """Optimiser steps taken."""
    curve: list[dict[str, float]] = field(default_factory=list)
    """At each check: step, and of each task its training loss and, with validation clips, their loss and
    accuracy."""
    backbone: Backbone | None = None
    """What makes tokens of the store's pixels, adapted or as it was; None where the store holds tokens."""
    adapter_parameters: int = 0
    """Parameters of the adapter, and of a text side, that were trained."""


def fit(
    store: TokenStore,
    tasks: Sequence[str],
    options: FitOptions,
    *,
    checkpoints: Path | None = None,
    console: Console | None = None,
    backbone: str | Path | None = None,
    backbone_out: Path | None = None,
) -> Fitted:
    """Train a head a task on the store's training clips; temperatures are fitted on its validation clips.

    With `options.adapter`, the backbone is adapted to these tasks with the heads, which all share it.

    Args:
        store: where tokens are.
        tasks: columns of the data set, or the built-in `direction`.
        options: how.
        checkpoints: a folder: there a killed training leaves a checkpoint, and goes on from it when run
            again.
        console: where progress is shown.
        backbone: folder or hub name of the backbone to adapt, or, on a store of pixels and with no adapter,
            of one to train on as it is; not read where the store holds tokens.
        backbone_out: folder for the adapted backbone.

    Raises:
        TokenStoreError: the store lacks a task.
        SplitError: there are no clips to train on.
        AdapterError: store, backbone, adapter and memory do not fit each other.
    """
    torch.manual_seed(options.seed)
    console = console or Console()
    store.check_tasks([task for task in tasks if task != DIRECTION])
    split = split_clips(store, hold_out=options.hold_out, validation_share=options.validation_share)
    for task in tasks:
        for name, classes in untrained_classes(split, task).items():
            console.print(f"[yellow]{task}: {name} has {', '.join(classes)}, which training lacks")
    training = training_windows(store, tasks, split, options)
    validation = clip_windows(store, split.validation)
    through = begin_adapting(store, backbone, options)
    frozen = left_alone(store, backbone) if through is None else through.base
    identity = store.backbone if frozen is None else frozen.identity
    heads = {task: Head(head_config(store, task, options, identity)) for task in tasks}
    stored = WindowTokens(store)
    tokens_of: Tokens = stored
    if through is not None:
        tokens_of = EncodedWindows(stored, through.encoder)
    elif frozen is not None:
        tokens_of = EncodedWindows(stored, _encoder_of(frozen.to(options.device)), keep_bytes=_KEPT_BYTES)
    for task, head in heads.items():
        _prepare(head, training, tokens_of, options)
        if options.start is not None:
            start_from(head, options.start / task, options.start / next(iter(store.tasks)))
    if options.adapter.text:
        clip = ClipText(options.adapter.text)
        for head in heads.values():
            side = clip.side(head.config.labels, options.adapter.kind, identity.dim)
            put_text_side(head.probe, side)
    if through is None:
        steps, curve = run(heads, training, validation, tokens_of, options, checkpoints, store, console)
        used, trained = frozen, 0
    else:
        encoder = through.encoder
        heads_alone = None if checkpoints is None else checkpoints / _HEADS_ALONE
        if options.adapter.head_steps:
            through.base.to(options.device)
            plain = EncodedWindows(stored, _encoder_of(through.base), keep_bytes=_KEPT_BYTES)
            alone = _heads_alone(options)
            options = replace(options, learning_rate=options.adapter.learning_rate)
            console.print(f"{alone.steps} steps of the heads alone, on the backbone as it is")
            run(heads, training, [], plain, alone, heads_alone, store, console)
        steps, curve = run(heads, training, validation, stored, options, checkpoints, store, console, encoder)
        used, trained = through.finish(backbone_out).to(options.device), through.adapted.num_trained()
        tokens_of = EncodedWindows(stored, _encoder_of(used))
    if checkpoints is not None and is_first_process():
        remove_checkpoint(checkpoints)
        shutil.rmtree(checkpoints / _HEADS_ALONE, ignore_errors=True)
    for head in heads.values():
        trained += merge_text_side(head.to(options.device).eval().probe)
        if used is not None:
            head.config = replace(head.config, backbone=used.identity)
        _calibrate(head, store, split, tokens_of, options)
    return Fitted(heads, split, steps, curve, used, trained)


def _encoder_of(backbone: Backbone) -> WindowEncoder:
    return WindowEncoder(backbone.tower, backbone.preprocess)


def _heads_alone(options: FitOptions) -> FitOptions:
    """How heads learn before the adapter does."""
    return replace(
        options, steps=options.adapter.head_steps, adapter=AdapterOptions(), patience=0, tensorboard=None
    )


def save_heads(heads: dict[str, Head], out: Path) -> None:
    """Write a model folder a task under `out`."""
    for task, head in heads.items():
        head.save_pretrained(out / task)


def start_from(head: Head, own: Path, other: Path) -> None:
    """Start `head` from the one in folder `own`, or, where there is none, from the attention of `other`.

    Raises:
        HeadError: neither can be read.
        RuntimeError: the head's sizes are others.
    """
    if own.is_dir():
        head.load_state_dict(Head.from_pretrained(own).state_dict())
    else:
        state = Head.from_pretrained(other).state_dict()
        kept = {name: tensor for name, tensor in state.items() if "classifier" not in name}
        head.load_state_dict(kept, strict=False)


def head_config(
    store: TokenStore, task: str, options: FitOptions, backbone: BackboneIdentity | None = None
) -> HeadConfig:
    """The config of a head of `task` on a backbone; by default the store's."""
    backbone = backbone or store.backbone
    dim = backbone.dim
    about = tasks_of(store)[task]
    return HeadConfig(
        task=task,
        labels=tuple(about.labels),
        symmetric_pairs=tuple(about.symmetric_pairs),
        idle_label=about.idle,
        clip=store.clip,
        probe=ProbeConfig(
            dim=dim,
            num_heads=next(h for h in range(min(options.num_heads, dim), 0, -1) if dim % h == 0),
            kind=options.probe,
            normalization=options.normalization,
            token_pooling=options.token_pooling,
            options=options.step,
        ),
        backbone=backbone,
    )


def training_windows(
    store: TokenStore, tasks: Sequence[str], split: Split, options: FitOptions
) -> list[Window]:
    """The windows that heads are fitted on, each also backwards if something can be learned of that.

    Raises:
        SplitError: there are no training clips.
    """
    about = tasks_of(store)
    partner = partners({task: about[task].symmetric_pairs for task in tasks})
    turned = partner if options.time_reversal or DIRECTION in tasks else None
    clips = split.of("train")
    if store.sampling == "grid":
        return sliding_windows(store, clips, lag_seconds=options.lag_seconds, partner=turned)
    windows = [w for w in clip_windows(store, clips) if any(label_of(w, task) for task in tasks)]
    if turned is None:
        return windows
    configs = [head_config(store, task, options) for task in tasks]
    useful = torch.zeros(2 * len(windows))
    both = with_backwards(windows, turned)
    for config in configs:
        useful += targets_of(
            both, config, time_reversal=options.time_reversal, reversal_penalty=options.reversal_penalty
        )[1]
    return [window for window, weight in zip(both, useful.tolist(), strict=True) if weight > 0]


def _prepare(head: Head, windows: Sequence[Window], tokens_of: Tokens, options: FitOptions) -> None:
    """Scale the temporal embeddings, and measure channels where they are to be normalised."""
    position = getattr(head.probe, "position", None)
    if isinstance(position, nn.Parameter):
        nn.init.normal_(position, std=options.position_std)
    if options.normalization == "channel":
        sample = windows[:: max(1, len(windows) // 256)]
        flat = torch.cat([head.pooling(tokens_of([w]).float()).flatten(0, 2) for w in sample])
        head.normalization.fit(flat.mean(0), flat.std(0))


def _calibrate(head: Head, store: TokenStore, split: Split, tokens_of: Tokens, options: FitOptions) -> None:
    """Fit temperature and rejection threshold on the validation clips, if there are any."""
    if not split.validation:
        return
    if store.sampling == "grid":
        windows = sliding_windows(store, split.validation, lag_seconds=options.lag_seconds)[::3]
    else:
        windows = clip_windows(store, split.validation)
    if head.config.task == DIRECTION:
        windows = with_backwards(windows, {})
    logits, targets = window_logits(head, windows, tokens_of)
    if len(targets) == 0:
        return
    temperature = fit_temperature(logits, targets)
    probabilities = torch.softmax(logits / temperature, dim=-1)
    threshold = fit_rejection_threshold(probabilities, targets, accuracy=options.accepted_accuracy)
    head.config = replace(head.config, temperature=temperature, rejection_threshold=threshold)
