"""Moments heads from a store: which way things go, in no optimiser step."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
import torch
from rich.console import Console

from step_ros.backbones import Backbone
from step_ros.frames import ClipSpec
from step_ros.probes import Head
from step_ros.training import closed_form
from step_ros.training.adapter_options import AdapterOptions
from step_ros.training.datasets import read_dataset
from step_ros.training.extract import ExtractOptions, extract
from step_ros.training.fit import fit, save_heads
from step_ros.training.fit_options import FitOptions
from step_ros.training.judge import judge
from step_ros.training.store import GridSampling, TokenStore, open_store

QUIET = Console(quiet=True)
OPTIONS = FitOptions(probe="moments", lag_seconds=0.0)


@pytest.mark.parametrize("kind", ["clip", "grid"])
def test_a_head_learns_direction_and_survives_saving(
    kind: str, clip_store: TokenStore, clips_csv: Path, backbone: Backbone, tmp_path: Path
) -> None:
    store = clip_store
    if kind == "grid":
        options = ExtractOptions(GridSampling(ClipSpec(8, 0.8)))
        store = extract(read_dataset(clips_csv), backbone, options, tmp_path / "store")
    fitted = fit(store, ["direction"], OPTIONS, console=QUIET)
    assert (fitted.steps, fitted.curve, fitted.precision) == (0, [], "float32")
    save_heads(fitted.heads, tmp_path)
    head = Head.from_pretrained(tmp_path / "direction")
    metrics = judge(head, store, fitted.split.test).metrics
    assert metrics.top1 >= 0.75 and metrics.pair_accuracy == 1.0
    assert metrics.reversed_top1 <= 0.25
    assert head.config.probe.kind == "moments"


def test_every_clip_of_one_class_teaches_forward_from_reversed(clip_store: TokenStore) -> None:
    store = open_store(clip_store.root)
    del store.tasks["direction"]
    store.clips = [replace(c, labels={}) for c in store.clips if c.labels["direction"] == "right"]
    fitted = fit(store, ["direction"], OPTIONS, console=QUIET)
    metrics = judge(fitted.heads["direction"], store, fitted.split.test).metrics
    assert metrics.direction_accuracy == 1.0


def test_without_validation_clips_confidence_is_calibrated_all_the_same(clip_store: TokenStore) -> None:
    store = open_store(clip_store.root)
    store.clips = [clip for clip in store.clips if clip.split != "validation"]
    head = fit(store, ["direction"], OPTIONS, console=QUIET).heads["direction"]
    assert head.config.temperature != 1.0


def test_of_many_windows_some_are_taken(clip_store: TokenStore, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(closed_form, "MOST_WINDOWS", 5)
    head = fit(clip_store, ["direction"], OPTIONS, console=QUIET).heads["direction"]
    assert bool(torch.isfinite(head.state_dict()["probe.classifier.weight"]).all())


def test_an_adapter_cannot_be_taught_by_it() -> None:
    with pytest.raises(ValueError, match="teaches no adapter; choose another probe"):
        FitOptions(probe="moments", adapter=AdapterOptions(kind="adaptformer"))
