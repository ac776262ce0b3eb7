"""The backbone's part in a training that goes through it."""

from __future__ import annotations

import tempfile
from dataclasses import dataclass, replace
from pathlib import Path

import torch

from step_ros.backbones import Backbone
from step_ros.peft import AdaptedTower, AdapterConfig, AdapterError
from step_ros.peft.adapter_folder import load_backbone, save_adapted
from step_ros.peft.training_memory import check_memory
from step_ros.training.fit_options import FitOptions
from step_ros.training.raw_patches import RawPatches, WindowEncoder
from step_ros.training.token_store import TokenStore


@dataclass
class AdaptedTraining:
    """An adapter that is being trained, and what it is of."""

    adapted: AdaptedTower
    base: Backbone
    source: str | Path
    """Folder or hub name of `base`."""
    encoder: WindowEncoder

    def finish(self, folder: Path | None) -> Backbone:
        """The adapted backbone as it will be loaded from its folder, on the CPU.

        Args:
            folder: where to save it; None keeps nothing.
        """
        self.adapted.to("cpu")
        self.base.to("cpu")
        with tempfile.TemporaryDirectory(prefix="step_ros_adapter_") as temporary:
            return save_adapted(self.adapted, self.base, folder or Path(temporary), source=self.source)


def begin_adapting(
    store: TokenStore, source: str | Path | None, options: FitOptions
) -> AdaptedTraining | None:
    """Put a fresh adapter into the backbone whose pixels are in the store; None where none is asked for.

    Args:
        store: of pixels.
        source: folder or hub name of the backbone.
        options: of the training.

    Raises:
        AdapterError: an adapter is asked for and the store holds tokens, no backbone is given, it is another
            than the store is for, or the memory does not suffice.
        BackboneError: the backbone cannot be had.
    """
    if not options.adapter.kind:
        return None
    if not store.holds_pixels:
        raise AdapterError(
            f"adapters are trained on pixels, but {store.root} holds tokens; extract with --pixels"
        )
    if source is None:
        raise AdapterError(f"name the backbone to adapt with --backbone; the store is for {store.backbone}")
    base = Backbone.from_pretrained(source)
    if not store.backbone.same_tokens(RawPatches(base.encoder).identity):
        raise AdapterError(
            f"{store.root} holds pixels for {store.backbone}, not for {base.identity}; extract them for the "
            "backbone that is to be adapted"
        )
    config = AdapterConfig.of(
        options.adapter.kind, size=options.adapter.size, num_frames=store.clip.num_frames
    )
    adapted = AdaptedTower(base.tower, config, base.image_size)
    check_memory(
        adapted,
        options.batch_size * store.clip.num_frames,
        checkpointing=options.adapter.checkpointing,
        device=torch.device(options.device),
    )
    adapted.checkpoint_blocks(options.adapter.checkpointing)
    return AdaptedTraining(adapted, base, source, WindowEncoder(adapted.tower, base.preprocess))


def left_alone(store: TokenStore, source: str | Path | None) -> Backbone | None:
    """The backbone, plain or adapted before, that makes tokens of a store's pixels; None if it holds tokens.

    Args:
        store: which.
        source: folder or hub name of the backbone.

    Raises:
        AdapterError: no backbone is given, or one that sees other pixels than the store holds.
        BackboneError: it cannot be had.
    """
    if not store.holds_pixels:
        return None
    if source is None:
        raise AdapterError(
            f"{store.root} holds pixels: adapt a backbone with --adapter.kind and --backbone, train on one "
            "as it is with --backbone alone, or extract tokens without --pixels"
        )
    backbone = load_backbone(source, windows=True)
    stored, own = store.backbone, RawPatches(backbone.encoder).identity
    if replace(own, id="", sha256="") != replace(stored, id="", sha256=""):
        raise AdapterError(f"{store.root} holds pixels for {stored}; {own} sees others, extract them for it")
    return backbone
