"""An opened store knows what it is of, and whether its files are what was written."""

from __future__ import annotations

import os
import shutil
from pathlib import Path
from unittest.mock import ANY

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
from step_ros.training.store.folder import read_manifest, write_manifest


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
    first, second, third, fourth, *_ = sorted((tmp_path / "tokens").glob("*.safetensors"))
    damaged = bytearray(first.read_bytes())
    damaged[-1] ^= 1
    first.write_bytes(damaged)
    second.unlink()
    third.write_bytes(third.read_bytes()[:-5])
    fourth.write_bytes((tmp_path / "tokens" / "validation_2.safetensors").read_bytes())  # whole, of another
    assert [line.split(" is ")[1] for line in sorted(open_store(tmp_path).verify())] == [
        "damaged: it",
        "missing; extract again",
        ANY,
        "not what was written; extract again",
    ]
    for broken in (second, third):
        with pytest.raises(TokenStoreError, match="is (missing|damaged).*; extract again"):
            open_store(tmp_path).tokens(broken.stem, "clip.0")
    assert store.root == tmp_path


def test_verification_reads_the_videos_too(clips_csv: Path, backbone: Backbone, tmp_path: Path) -> None:
    data = shutil.copytree(clips_csv.parent, tmp_path / "data")
    store = extract(
        read_dataset(data / "clips.csv"), backbone, ExtractOptions(ClipSampling(4)), tmp_path / "store"
    )
    changed, touched, moved = (data / f"{name}.mp4" for name in ("train_0", "train_1", "test_4"))
    stat, content = changed.stat(), bytearray(changed.read_bytes())
    content[-1] ^= 1
    changed.write_bytes(content)
    os.utime(changed, ns=(stat.st_atime_ns, stat.st_mtime_ns))  # size and times are what they were
    touched.touch()
    moved.rename(data / "elsewhere.mp4")
    (line,) = store.verify()
    assert line.startswith(f"{changed} is not what") and "train_0.safetensors" in line
    assert store.videos_elsewhere() == [str(moved)]


def test_a_store_that_is_not_there_is_named(tmp_path: Path) -> None:
    with pytest.raises(TokenStoreError, match="not a complete token store"):
        open_store(tmp_path)


def test_a_manifest_that_lacks_something_is_named(grid_store: TokenStore, tmp_path: Path) -> None:
    manifest = read_manifest(grid_store.root)
    for key in ("backbone", "clip", "clips", "tasks", "videos"):
        write_manifest(tmp_path, {name: value for name, value in manifest.items() if name != key})
        with pytest.raises(TokenStoreError, match=f"not a complete token store.*'{key}'"):
            open_store(tmp_path)
