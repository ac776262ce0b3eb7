"""An opened store knows what it is of, and whether its files are what was written."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from step_ros.backbones import Backbone
from step_ros.frames import ClipSpec
from step_ros.training.datasets import read_dataset
from step_ros.training.extract import ExtractOptions, extract
from step_ros.training.store import (
    ClipSampling,
    ClipStore,
    GridStore,
    TokenStore,
    TokenStoreError,
    open_store,
)


def test_it_remembers_backbone_window_and_tasks(grid_store: TokenStore, backbone: Backbone) -> None:
    opened = open_store(grid_store.root)
    assert opened.backbone.same_tokens(backbone.identity)
    assert opened.clip == ClipSpec(4, 0.4) and isinstance(opened, GridStore)
    assert opened.tasks["direction"].symmetric_pairs == [("right", "left")]
    assert opened.verify() == []


def test_a_store_is_opened_as_what_it_is(clip_store: TokenStore, grid_store: TokenStore) -> None:
    assert isinstance(open_store(clip_store.root), ClipStore) and clip_store.views == 2
    assert isinstance(open_store(grid_store.root), GridStore) and grid_store.views == 1


def test_verification_finds_what_was_damaged(clips_csv: Path, backbone: Backbone, tmp_path: Path) -> None:
    store = extract(read_dataset(clips_csv), backbone, ExtractOptions(ClipSampling(4)), tmp_path)
    first, second, *_ = sorted((tmp_path / "tokens").glob("*.safetensors"))
    damaged = bytearray(first.read_bytes())
    damaged[-1] ^= 1
    first.write_bytes(damaged)
    second.unlink()
    assert [line.split(" is ")[1] for line in sorted(open_store(tmp_path).verify())] == [
        "not what was written; delete it and extract again",
        "missing",
    ]
    with pytest.raises(TokenStoreError, match="missing or damaged"):
        open_store(tmp_path).tokens(second.stem, "clip.0")
    assert store.root == tmp_path


def test_a_store_that_is_not_there_is_named(tmp_path: Path) -> None:
    with pytest.raises(TokenStoreError, match="not a complete token store"):
        open_store(tmp_path)


def test_a_manifest_that_lacks_something_is_named(grid_store: TokenStore, tmp_path: Path) -> None:
    manifest = json.loads((grid_store.root / "manifest.json").read_text())
    for key in ("backbone", "clip", "clips", "tasks", "sha256"):
        without = {name: value for name, value in manifest.items() if name != key}
        (tmp_path / "manifest.json").write_text(json.dumps(without))
        with pytest.raises(TokenStoreError, match=f"not a complete token store.*'{key}'"):
            open_store(tmp_path)
