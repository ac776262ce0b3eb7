"""Small models that say the same whatever they see, and recordings of a moving square to show to them."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
import torch
from rosbags.rosbag2 import StoragePlugin

from step_ros.backbones import Backbone
from step_ros.frames import ClipSpec
from step_ros.frames.bags.messages import CLASSIFICATION, COMPRESSED_IMAGE, classification, compressed_image
from step_ros.frames.bags.writing import new_bag
from step_ros.probes import Head, HeadConfig, ProbeConfig

from .tiny_models import save_vit

FRAME_ID = "camera_color_optical_frame"
RATE = 30
START_NS = 1_700_000_000_000_000_000
CLIP = ClipSpec(num_frames=8, window_seconds=0.8)
LABELS = {
    "atomic_action": ("idle", "push", "pull", "open", "close"),
    "object": ("idle", "cup", "box"),
}
PAIRS = {"atomic_action": (("push", "pull"), ("open", "close")), "object": ()}
SURE_OF = {"atomic_action": "push", "object": "cup"}
"""What each head says whatever it sees, so that tests know what to expect."""


def make_head(
    folder: Path,
    task: str,
    backbone: Path,
    seed: int,
    *,
    labels: tuple[str, ...] = (),
    pairs: tuple[tuple[str, str], ...] | None = None,
    sure_of: str = "",
    **config: Any,
) -> Path:
    identity = Backbone.from_pretrained(backbone).identity
    labels = labels or LABELS[task]
    torch.manual_seed(seed)
    head = Head(
        HeadConfig(
            task=task,
            labels=labels,
            clip=CLIP,
            probe=ProbeConfig(dim=identity.dim, num_heads=2),
            backbone=identity,
            symmetric_pairs=PAIRS.get(task, ()) if pairs is None else pairs,
            idle_label="idle",
            **config,
        )
    )
    with torch.no_grad():
        head.probe.classifier.bias[labels.index(sure_of or SURE_OF.get(task, labels[-1]))] += 6.0
    head.save_pretrained(folder)
    return folder


@dataclass(frozen=True)
class Models:
    heads: list[Path]
    foreign_head: Path
    """Trained on another backbone than the one beside it."""
    labels: dict[str, tuple[str, ...]]
    sure_of: dict[str, str]
    clip: ClipSpec


@pytest.fixture(scope="session")
def models(tmp_path_factory: pytest.TempPathFactory) -> Models:
    folder = tmp_path_factory.mktemp("models")
    backbone = save_vit(folder / "ours" / "backbone")
    other = save_vit(folder / "theirs" / "backbone", seed=1)
    heads = [make_head(folder / "ours" / task, task, backbone, seed=2) for task in LABELS]
    foreign = make_head(folder / "ours" / "foreign", "object", other, seed=3)
    return Models(heads, foreign, LABELS, SURE_OF, CLIP)


_ROWS, _COLUMNS = np.mgrid[0:480, 0:640]
_TABLE = np.stack([_ROWS % 200, _COLUMNS % 200, (_ROWS + _COLUMNS) % 200], axis=-1).astype(np.uint8)


def picture(index: int) -> np.ndarray:
    """A white square that moves over a textured table: uint8 (480, 640, 3), red first."""
    rgb = _TABLE.copy()
    left = index * 4 % 560
    rgb[200:280, left : left + 80] = 255
    return rgb


def write_bag(path: Path, *, seconds: float, storage: StoragePlugin = StoragePlugin.MCAP) -> Path:
    """Images at 30 Hz, and truth that changes every second."""
    camera = "/camera/image_raw/compressed"
    with new_bag(path, storage=storage) as bag:
        bag.add_topic(camera, COMPRESSED_IMAGE)
        for task in LABELS:
            bag.add_topic(f"/truth/{task}", CLASSIFICATION)
        for index in range(round(seconds * RATE)):
            stamp_ns = START_NS + round(index * 1e9 / RATE)
            if index % RATE == 0:
                for task, labels in LABELS.items():
                    label = labels[index // RATE % len(labels)]
                    bag.write(f"/truth/{task}", stamp_ns, classification([(label, 1.0)], stamp_ns, FRAME_ID))
            bgr = cv2.cvtColor(picture(index), cv2.COLOR_RGB2BGR)
            _, jpeg = cv2.imencode(".jpg", bgr, [cv2.IMWRITE_JPEG_QUALITY, 80])
            image = compressed_image(jpeg, "rgb8; jpeg compressed bgr8", stamp_ns, FRAME_ID)
            bag.write(camera, stamp_ns, image)
    return path


@dataclass(frozen=True)
class Recording:
    path: Path
    frame_id: str
    stamps_ns: list[int]
    """Of the images."""
    truth_onsets_ns: list[int]


def make_recording(path: Path, seconds: float, storage: StoragePlugin = StoragePlugin.MCAP) -> Recording:
    write_bag(path, seconds=seconds, storage=storage)
    stamps_ns = [START_NS + round(index * 1e9 / RATE) for index in range(round(seconds * RATE))]
    return Recording(path, FRAME_ID, stamps_ns, stamps_ns[::RATE])


@pytest.fixture(scope="session")
def recording(tmp_path_factory: pytest.TempPathFactory) -> Recording:
    return make_recording(tmp_path_factory.mktemp("bags") / "square", seconds=4.0)


@pytest.fixture(scope="session")
def short_recording(tmp_path_factory: pytest.TempPathFactory) -> Recording:
    return make_recording(tmp_path_factory.mktemp("bags") / "short", 0.5, StoragePlugin.SQLITE3)
