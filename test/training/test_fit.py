"""Fitting on cached tokens: a head that tells right from left, which no order-blind probe can."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
import torch
from rich.console import Console

from step_ros.backbones import Backbone
from step_ros.frames import ClipSpec
from step_ros.probes import PROBE_KINDS, Head, StepOptions
from step_ros.training.datasets import read_dataset
from step_ros.training.extract import ExtractOptions, extract
from step_ros.training.fit import fit, save_heads
from step_ros.training.fit_options import OPTIMIZERS, FitOptions
from step_ros.training.judge import judge
from step_ros.training.store import GridSampling, TokenStore, TokenStoreError, open_store

QUIET = Console(quiet=True)
OPTIONS = FitOptions(
    steps=150, batch_size=16, token_dropout=0.0, label_smoothing=0.0, num_heads=4, lag_seconds=0.0
)
FEW = replace(OPTIONS, steps=6, check_every=2)


@pytest.mark.parametrize("kind", ["clip", "grid"])
def test_a_head_learns_direction_and_survives_saving(
    kind: str, clip_store: TokenStore, clips_csv: Path, backbone: Backbone, tmp_path: Path
) -> None:
    store = clip_store
    if kind == "grid":
        options = ExtractOptions(GridSampling(ClipSpec(8, 0.8)))
        store = extract(read_dataset(clips_csv), backbone, options, tmp_path / "store")
    fitted = fit(store, ["direction"], replace(OPTIONS, steps=300), console=QUIET)
    save_heads(fitted.heads, tmp_path)
    head = Head.from_pretrained(tmp_path / "direction")
    metrics = judge(head, store, fitted.split.test).metrics
    assert metrics.top1 >= 0.75 and metrics.pair_accuracy == 1.0
    assert metrics.reversed_top1 <= 0.25
    assert head.config.symmetric_pairs == (("right", "left"),)
    assert head.config.clip == store.clip
    assert head.config.temperature == fitted.heads["direction"].config.temperature != 1.0


def test_the_built_in_task_tells_forward_from_reversed(clip_store: TokenStore, tmp_path: Path) -> None:
    """Every clip of one class: how it runs is then all that there is to learn."""
    store = open_store(clip_store.root)
    del store.tasks["direction"]
    store.clips = [c for c in store.clips if c.labels["direction"] == "right"]
    store.clips = [replace(clip, labels={}) for clip in store.clips]
    fitted = fit(store, ["direction"], OPTIONS, console=QUIET)
    head = fitted.heads["direction"]
    assert head.config.labels == ("forward", "reversed")
    metrics = judge(head, store, fitted.split.test).metrics
    assert metrics.direction_accuracy == 1.0


@pytest.mark.parametrize("probe", [kind for kind in PROBE_KINDS if kind not in ("step", "moments")])
def test_every_probe_is_fitted(probe: str, clip_store: TokenStore) -> None:
    options = replace(
        FEW, probe=probe, normalization="channel", token_pooling=2, mixup=0.2, token_dropout=0.5
    )
    fitted = fit(clip_store, ["direction"], options, console=QUIET)
    head = fitted.heads["direction"]
    assert head.config.probe.kind == probe
    assert head.normalization.std.std() > 0  # measured on the training clips
    assert [values["step"] for values in fitted.curve] == [2, 4, 6]
    assert {"direction validation loss", "direction validation accuracy"} <= set(fitted.curve[0])


def test_embeddings_a_token_are_fitted_with_places_left_out(clip_store: TokenStore) -> None:
    options = replace(FEW, step=StepOptions(position_unit="token"), token_dropout=0.5)
    fit(clip_store, ["direction"], options, console=QUIET)


def test_a_seed_fixes_everything(clip_store: TokenStore) -> None:
    first, second, other = (
        fit(clip_store, ["direction"], replace(FEW, seed=seed), console=QUIET).heads["direction"].state_dict()
        for seed in (0, 0, 1)
    )
    assert all(torch.equal(first[name], second[name]) for name in first)
    assert not torch.equal(first["probe.cls"], other["probe.cls"])


def test_a_probe_with_no_matrices_for_muon_is_fitted_by_adamw(clip_store: TokenStore) -> None:
    heads = [
        fit(clip_store, ["direction"], replace(FEW, probe="linear", optimizer=optimizer), console=QUIET).heads
        for optimizer in OPTIMIZERS
    ]
    first, second = (head["direction"].state_dict() for head in heads)
    assert all(torch.equal(first[name], second[name]) for name in first)


def test_unknown_task_names_those_there_are(clip_store: TokenStore) -> None:
    with pytest.raises(TokenStoreError, match="no task verb; it has direction"):
        fit(clip_store, ["verb"], OPTIONS, console=QUIET)
