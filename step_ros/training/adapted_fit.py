"""Fits heads and, with them, an adapter in the backbone whose pixels are in the store."""

from __future__ import annotations

import tempfile
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch
from rich.console import Console
from torch import Tensor

from step_ros.backbones import Backbone
from step_ros.peft import AdaptedTower, Adapter, AdapterConfig, AdapterError
from step_ros.peft.adapter_folder import save_adapted
from step_ros.peft.training_memory import check_memory
from step_ros.probes import Head
from step_ros.training.adapter_options import AdapterOptions
from step_ros.training.calibration import calibrate
from step_ros.training.checkpoint import HEADS_ALONE
from step_ros.training.class_names import NameReaders, merge_text_side, put_text_sides
from step_ros.training.fit_options import FitOptions
from step_ros.training.heads import TaskHeads, new_heads
from step_ros.training.lesson import Fitted, Lesson
from step_ros.training.loop import DivergedError, train
from step_ros.training.optimizers import parameter_groups
from step_ros.training.raw_patches import RawPatches, WindowEncoder
from step_ros.training.store import TokenStore
from step_ros.training.window_tokens import KEPT_BYTES, WindowTokens, read_windows


def fit_adapted(
    lesson: Lesson,
    options: FitOptions,
    *,
    source: str | Path | None,
    out: Path | None,
    checkpoints: Path | None,
    console: Console,
    adapters: Mapping[str, type[Adapter]],
    name_readers: NameReaders,
) -> Fitted:
    """Train heads and a fresh adapter together; first, for some steps, the heads alone.

    What it is given is what `fit` was, `source` and `out` for the backbone; None for `out` keeps nothing.

    Raises:
        AdapterError: there is no such adapter, or store, backbone, adapter, text side and memory do not fit
            each other.
        BackboneError: the backbone cannot be had.
    """
    store = lesson.store
    if not store.holds_pixels:
        raise AdapterError(
            f"adapters are trained on pixels, but {store.root} holds tokens; extract with --pixels"
        )
    if source is None:
        raise AdapterError(f"name the backbone to adapt with --backbone; the store is for {store.backbone}")
    base = load_base(store, source)
    adapted = put_adapter(base, store, options, adapters)
    encoder = WindowEncoder(adapted.tower, base.preprocess)
    pixels = WindowTokens(store)
    heads = new_heads(lesson, base.identity, pixels.encoded_by(encoder), options)
    put_text_sides(heads.values(), options.adapter, name_readers)
    if options.adapter.head_steps:
        train_alone(heads, lesson, base, options, checkpoints=checkpoints, console=console)
        options = replace(options, learning_rate=options.adapter.learning_rate)
    together = AdaptedHeads(heads, encoder)
    state = train(together, lesson, pixels, options, checkpoints=checkpoints, console=console)
    backbone = save_and_reload(adapted, base, out, source=source).to(options.device)
    tokens_of = read_windows(store, backbone)
    trained = adapted.num_trained()
    for head in heads.values():
        trained += merge_text_side(head.to(options.device).eval().probe)
        head.config = replace(head.config, backbone=backbone.identity)
        calibrate(head, lesson, tokens_of, options)
    return Fitted(
        *(heads, lesson.split, state.step, state.curve, backbone),
        diverged_at=state.diverged_at,
        precision=options.precision,
        adapter_parameters=trained,
    )


class AdaptedHeads(TaskHeads):
    """The heads of all tasks, and the encoder that they share, whose adapter learns with them.

    Args:
        heads: by task.
        encoder: what makes tokens of pixels; what of it is not frozen is trained.
    """

    def __init__(self, heads: dict[str, Head], encoder: WindowEncoder) -> None:
        super().__init__(heads)
        self.encoder = encoder

    def forward(self, pixels: Tensor, places: Tensor) -> dict[str, Tensor]:
        """Logits (B, K) by task, of pixels (B, T, P, 3·p²) of which N pooled places are seen."""
        tokens = self.encoder(pixels)
        return super().forward(tokens[:, :, self.pooling.patches(places).flatten()], places)

    def patches_read(self, places: Tensor) -> None:
        """All: an encoder needs whole frames."""

    def read_by_each(self, batches: WindowTokens) -> WindowTokens:
        """The tokens that the encoder, as it is by then, makes of pixels."""
        return batches.encoded_by(self.encoder)

    def parameter_groups(self, options: FitOptions) -> list[dict[str, Any]]:
        """The heads', and the adapter's with a learning rate of its own."""
        own = parameter_groups([self.encoder], options.weight_decay, options.adapter.learning_rate)
        return super().parameter_groups(options) + own


def load_base(store: TokenStore, source: str | Path) -> Backbone:
    """The backbone that a store of pixels is for.

    Raises:
        AdapterError: this is another.
        BackboneError: it cannot be had.
    """
    base = Backbone.from_pretrained(source)
    if not store.backbone.same_tokens(RawPatches(base.encoder).identity):
        raise AdapterError(
            f"{store.root} holds pixels for {store.backbone}, not for {base.identity}; extract them for the "
            "backbone that is to be adapted"
        )
    return base


def put_adapter(
    base: Backbone, store: TokenStore, options: FitOptions, adapters: Mapping[str, type[Adapter]]
) -> AdaptedTower:
    """A backbone's network with a fresh adapter in it.

    Raises:
        AdapterError: there is no such adapter, or the memory does not suffice to train it.
    """
    kind, size, num_frames = options.adapter.kind, options.adapter.size, store.clip.num_frames
    config = AdapterConfig.of(kind, size=size, num_frames=num_frames, adapters=adapters)
    adapted = AdaptedTower(base.tower, config, base.image_size, adapters)
    check_memory(
        adapted,
        options.batch_size * num_frames,
        checkpointing=options.adapter.checkpointing,
        device=torch.device(options.device),
    )
    adapted.checkpoint_blocks(options.adapter.checkpointing)
    return adapted


def train_alone(
    heads: dict[str, Head],
    lesson: Lesson,
    base: Backbone,
    options: FitOptions,
    *,
    checkpoints: Path | None,
    console: Console,
) -> None:
    """Train heads on the backbone as it is; that is not looked at by validation windows."""
    alone = replace(
        options, steps=options.adapter.head_steps, adapter=AdapterOptions(), patience=0, tensorboard=None
    )
    console.print(f"{alone.steps} steps of the heads alone, on the backbone as it is")
    tokens_of = read_windows(lesson.store, base.to(options.device), keep_bytes=KEPT_BYTES)
    folder = None if checkpoints is None else checkpoints / HEADS_ALONE
    unseen = replace(lesson, validation=[])
    state = train(TaskHeads(heads), unseen, tokens_of, alone, checkpoints=folder, console=console)
    if state.diverged_at is not None:
        raise DivergedError(
            f"the heads alone diverged at step {state.diverged_at}; train with a smaller --learning-rate"
        )


def save_and_reload(
    adapted: AdaptedTower, base: Backbone, out: Path | None, *, source: str | Path
) -> Backbone:
    """The adapted backbone as it will be loaded from its folder, `out`, on the CPU; None keeps nothing."""
    adapted.to("cpu")
    base.to("cpu")
    with tempfile.TemporaryDirectory(prefix="step_ros_adapter_") as temporary:
        return save_adapted(adapted, base, out or Path(temporary), source=source)
