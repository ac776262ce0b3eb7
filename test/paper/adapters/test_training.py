"""Training adapters that mix frames, alone and with class names: by `fit`, which is told of them."""

from __future__ import annotations

from functools import partial
from pathlib import Path

import pytest
from rich.console import Console

from step_ros.backbones import Backbone
from step_ros.paper.adapters import ALL_ADAPTERS, NAME_READERS
from step_ros.peft import AdapterError
from step_ros.peft.adapter_folder import load_backbone
from step_ros.probes import Head
from step_ros.training.adapter_options import AdapterOptions
from step_ros.training.datasets import read_dataset
from step_ros.training.extract import ExtractOptions, extract
from step_ros.training.fit import fit as fit_known
from step_ros.training.fit import save_heads
from step_ros.training.fit_options import FitOptions
from step_ros.training.judge import judge
from step_ros.training.raw_patches import RawPatches
from step_ros.training.store import ClipSampling, TokenStore

QUIET = Console(quiet=True)
fit = partial(fit_known, adapters=ALL_ADAPTERS, name_readers=NAME_READERS, console=QUIET)


@pytest.mark.parametrize("kind", ["m2_clip", "vita_clip"])
def test_class_names_join_in_and_leave_a_plain_head(
    kind: str, clips_csv: Path, clip_with_words: Path, tmp_path: Path
) -> None:
    backbone = Backbone.from_pretrained(clip_with_words)
    options = ExtractOptions(ClipSampling(6, 0.1), dtype="uint8")
    store = extract(read_dataset(clips_csv), RawPatches(backbone.encoder), options, tmp_path / "store")
    counts = []
    for text in ("", str(clip_with_words)):
        adapter = AdapterOptions(kind, size=4, head_steps=2, text=text)
        fitted = fit(
            store,
            ["direction"],
            FitOptions(steps=3, batch_size=4, check_every=2, probe="linear", adapter=adapter),
            checkpoints=tmp_path,
            backbone=clip_with_words,
            backbone_out=tmp_path / "backbone",
        )
        counts.append(fitted.adapter_parameters)
    assert counts[1] > counts[0]
    save_heads(fitted.heads, tmp_path)
    head = Head.from_pretrained(tmp_path / "direction")
    assert set(head.probe.state_dict()) == {"classifier.weight", "classifier.bias"}
    judged = judge(
        head, store, fitted.split.validation, load_backbone(tmp_path / "backbone", adapters=ALL_ADAPTERS)
    )
    assert judged.metrics.top1 == pytest.approx(fitted.curve[-1]["direction validation accuracy"])


def test_text_side_is_refused_before_training_where_there_is_none(
    pixel_store: TokenStore, backbone_folder: Path, clip_with_words: Path
) -> None:
    options = FitOptions(adapter=AdapterOptions("adaptformer", text=str(clip_with_words)))
    with pytest.raises(AdapterError, match="adaptformer has no text side"):
        fit(pixel_store, ["direction"], options, backbone=backbone_folder)
    options = FitOptions(adapter=AdapterOptions(text=str(clip_with_words)))
    with pytest.raises(AdapterError, match="no adapter has no text side"):
        fit(pixel_store, ["direction"], options, backbone=backbone_folder)
    options = FitOptions(adapter=AdapterOptions("m2_clip", text=str(clip_with_words)))
    with pytest.raises(AdapterError, match="D=24, but the backbone has D=32"):
        fit(pixel_store, ["direction"], options, backbone=backbone_folder)
