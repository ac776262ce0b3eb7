"""A data set of drawn videos, a tiny backbone, and stores of its tokens and of pixels, all made here."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
import pytest

from step_ros.backbones import Backbone
from step_ros.frames import ClipSpec
from step_ros.training.datasets import read_dataset
from step_ros.training.extract import ExtractOptions, extract
from step_ros.training.raw_patches import RawPatches
from step_ros.training.store import ClipSampling, GridSampling, TokenStore

from .tiny_models import save_vit

FRAMES = 40  # at 10 Hz: 2 s of rightwards motion, then 2 s of leftwards


@pytest.fixture(scope="session")
def backbone(tmp_path_factory: pytest.TempPathFactory) -> Backbone:
    folder = tmp_path_factory.mktemp("backbone")
    save_vit(folder, hidden_size=32, intermediate_size=64, patch_size=8)
    return Backbone.from_pretrained(folder)


@pytest.fixture(scope="session")
def clips_csv(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Six videos of a square that moves right, then left; two a split."""
    folder = tmp_path_factory.mktemp("clips")
    rows = ["video,start,end,split,direction"]
    for index, split in enumerate(["train", "train", "validation", "validation", "test", "test"]):
        name = f"{split}_{index}.mp4"
        writer = cv2.VideoWriter(str(folder / name), cv2.VideoWriter.fourcc(*"mp4v"), 10, (64, 64))
        for t in range(FRAMES):
            x = 2 * (t if t < FRAMES // 2 else FRAMES - t)
            frame = np.full((64, 64, 3), 30 + 10 * index, np.uint8)
            frame[20:40, x : x + 16] = (40, 200, 250)
            writer.write(frame)
        writer.release()
        rows += [f"{name},0,2,{split},right", f"{name},2,4,{split},left"]
    (folder / "clips.csv").write_text("\n".join(rows) + "\n")
    (folder / "clips.yaml").write_text(
        "direction:\n  labels: [right, left]\n  symmetric_pairs: [[right, left]]\n"
    )
    return folder / "clips.csv"


@pytest.fixture(scope="session")
def backbone_folder(tmp_path_factory: pytest.TempPathFactory, backbone: Backbone) -> Path:
    """The backbone of the stores, in a folder."""
    folder = tmp_path_factory.mktemp("plain")
    backbone.network.save_pretrained(folder)
    (folder / "preprocessor_config.json").write_text(
        '{"size": {"height": 32, "width": 32}, "image_mean": [0.5, 0.5, 0.5], "image_std": [0.5, 0.5, 0.5]}'
    )
    return folder


@pytest.fixture(scope="session")
def pixel_store(clips_csv: Path, backbone: Backbone, tmp_path_factory: pytest.TempPathFactory) -> TokenStore:
    """6 frames of each clip, as they are."""
    out = tmp_path_factory.mktemp("pixel_store")
    options = ExtractOptions(ClipSampling(6, 0.1), dtype="uint8")
    return extract(read_dataset(clips_csv), RawPatches(backbone.encoder), options, out)


@pytest.fixture(scope="session")
def grid_store(clips_csv: Path, backbone: Backbone, tmp_path_factory: pytest.TempPathFactory) -> TokenStore:
    """Windows of 4 frames that slide over whole videos."""
    out = tmp_path_factory.mktemp("grid_store")
    options = ExtractOptions(GridSampling(ClipSpec(4, 0.4)), batch_size=7)
    return extract(read_dataset(clips_csv), backbone, options, out)


@pytest.fixture(scope="session")
def clip_store(clips_csv: Path, backbone: Backbone, tmp_path_factory: pytest.TempPathFactory) -> TokenStore:
    """8 frames of each clip, in 2 views."""
    out = tmp_path_factory.mktemp("clip_store")
    return extract(read_dataset(clips_csv), backbone, ExtractOptions(ClipSampling(8, 0.1), views=2), out)
