"""Small real models, and recordings of a square that moves right or left, or not at all, with truth."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import cv2
import numpy as np
import pytest
import torch
from rosbags.rosbag2 import StoragePlugin

from step_ros.backbones import Backbone
from step_ros.frames import ClipSpec
from step_ros.frames.bags.messages import (
    CLASSIFICATION,
    COMPRESSED_IMAGE,
    classification,
    compressed_image,
    image,
)
from step_ros.frames.bags.writing import new_bag
from step_ros.probes import Head, HeadConfig, ProbeConfig

from .tiny_models import save_vit

CAMERA = "/camera/image_raw/compressed"
START_NS = 1_700_000_000_000_000_000
RATE = 30
CLIP = ClipSpec(num_frames=8, window_seconds=0.8)
LABELS = {"motion": ("idle", "right", "left"), "object": ("idle", "square")}
PAIRS: dict[str, tuple[tuple[str, str], ...]] = {"motion": (("right", "left"),), "object": ()}
SCRIPT = ("idle", "right", "left", "right")
"""What happens, a second and a half each."""
SEGMENT_SECONDS = 1.5


@pytest.fixture(scope="session")
def models(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """Folders of two heads by task, beside their backbone."""
    folder = tmp_path_factory.mktemp("models")
    save_vit(folder / "backbone", num_hidden_layers=2, patch_size=8, initializer_range=0.3)
    identity = Backbone.from_pretrained(folder / "backbone").identity
    for task, labels in LABELS.items():
        torch.manual_seed(len(task))
        head = Head(
            HeadConfig(
                task=task,
                labels=labels,
                clip=CLIP,
                probe=ProbeConfig(dim=16, num_heads=2),
                backbone=identity,
                symmetric_pairs=PAIRS[task],
                idle_label="idle",
            )
        )
        with torch.no_grad():  # so that labels change with the picture
            head.probe.classifier.weight *= 30.0
        head.save_pretrained(folder / task)
    return {task: folder / task for task in LABELS}


def picture(seconds: float, height: int = 120, width: int = 160) -> np.ndarray:
    """What the camera sees: uint8 (H, W, 3), red first."""
    rows, columns = np.mgrid[0:height, 0:width]
    rgb = np.stack([rows % 50, columns % 50, (rows + columns) % 50], axis=-1).astype(np.uint8)
    left = 60.0
    for index, label in enumerate(SCRIPT):
        elapsed = min(max(seconds - index * SEGMENT_SECONDS, 0.0), SEGMENT_SECONDS)
        left += {"idle": 0.0, "right": 25.0, "left": -25.0}[label] * elapsed
    rgb[40:80, int(left) : int(left) + 40] = (250, 240, 90)
    return rgb


def write_recording(
    path: Path,
    *,
    seconds: float = 6.0,
    images: dict[str, str] | None = None,
    truth: bool = True,
    storage: StoragePlugin = StoragePlugin.MCAP,
    broken: tuple[int, ...] = (),
    truth_shift_s: float = 0.0,
) -> Path:
    """A bag: images at 30 Hz of every camera, and the truth on topics. `broken` images are cut off.

    `images` are topics and their types.
    """
    images = {CAMERA: COMPRESSED_IMAGE} if images is None else images
    with new_bag(path, storage=storage) as bag:
        for topic, kind in images.items():
            bag.add_topic(topic, kind)
        for task in LABELS if truth else ():
            bag.add_topic(f"/truth/{task}", CLASSIFICATION)
        for index in range(round(seconds * RATE)):
            stamp_ns = START_NS + round(index * 1e9 / RATE)
            if truth and index % round(SEGMENT_SECONDS * RATE) == 0:
                label = SCRIPT[min(index // round(SEGMENT_SECONDS * RATE), len(SCRIPT) - 1)]
                onset_ns = stamp_ns + round(truth_shift_s * 1e9)
                for task in LABELS:
                    shown = label if task == "motion" else "idle" if label == "idle" else "square"
                    bag.write(f"/truth/{task}", stamp_ns, classification([(shown, 1.0)], onset_ns, "camera"))
            rgb = picture(index / RATE)
            for topic, kind in images.items():
                if kind == COMPRESSED_IMAGE:
                    _, png = cv2.imencode(".png", cv2.cvtColor(rgb, cv2.COLOR_RGB2BGR))
                    data = png.ravel()[: 40 if index in broken else None]
                    bag.write(topic, stamp_ns, compressed_image(data, "png", stamp_ns, "camera"))
                else:
                    bag.write(topic, stamp_ns, image(rgb, stamp_ns, "camera"))
    return path


@pytest.fixture(scope="session")
def recording(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Six seconds from one camera, with truth."""
    return write_recording(tmp_path_factory.mktemp("bags") / "square")


@pytest.fixture(scope="session")
def make_recording() -> Callable[..., Path]:
    """Writes other recordings, see `write_recording`."""
    return write_recording
