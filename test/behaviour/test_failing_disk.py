"""Whatever write fails, of a store, a training or a run: the run after it ends as an undisturbed one does."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import cv2
import numpy as np
import pytest

from step_ros.backbones import Backbone
from step_ros.training.datasets import read_dataset
from step_ros.training.extract import ExtractOptions, extract
from step_ros.training.store import ClipSampling

from ..tiny_models import save_vit

HERE = Path(__file__).parent


@pytest.fixture(scope="module")
def failing_disk(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The library to preload."""
    library = tmp_path_factory.mktemp("failing_disk") / "failing_disk.so"
    source = HERE / "failing_disk.c"
    subprocess.run(["cc", "-shared", "-fPIC", "-o", library, source, "-ldl"], check=True)
    return library


@pytest.fixture(scope="module")
def given(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A backbone, two data sets of which one video has the same name and content, and a store."""
    folder = tmp_path_factory.mktemp("given")
    save_vit(folder / "backbone")
    for data, videos in (("old_data", {"a": 0, "b": 1}), ("data", {"a": 0, "b": 2})):
        (folder / data).mkdir()
        for name, seed in videos.items():
            draw(folder / data / f"{name}.avi", seed)
        rows = [f"{name}.avi,{label}" for name, label in zip(videos, ("open", "close"), strict=True)]
        (folder / data / "clips.csv").write_text("\n".join(["video,verb", *rows]) + "\n")
    backbone = Backbone.from_pretrained(folder / "backbone")
    clips = read_dataset(folder / "data" / "clips.csv")
    extract(clips, backbone, ExtractOptions(ClipSampling(2)), folder / "store")
    return folder


def draw(path: Path, seed: int) -> None:
    writer = cv2.VideoWriter(str(path), cv2.VideoWriter.fourcc(*"MJPG"), 10, (32, 32))
    for frame in np.random.default_rng(seed).integers(0, 256, (3, 32, 32, 3), dtype=np.uint8):
        writer.write(frame)
    writer.release()


@pytest.mark.timeout(600)
@pytest.mark.parametrize("job", ["extract", "train", "record"])
def test_the_run_after_any_failing_write_ends_as_an_undisturbed_one(
    job: str, failing_disk: Path, given: Path
) -> None:
    done = subprocess.run(
        [sys.executable, HERE / "failing_disk.py", job, given],
        env={**os.environ, "LD_PRELOAD": str(failing_disk), "OMP_NUM_THREADS": "1"},
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr
    assert int(done.stdout) >= 30
