"""A tiny real backbone and heads with random weights, and frames to feed them."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from step_ros.backbones import Backbone
from step_ros.frames import ClipSpec, Frame
from step_ros.perception import Perceiver
from step_ros.probes import Head, HeadConfig, ProbeConfig

from ..tiny_models import one_thread, save_vit  # noqa: F401

CLIP = ClipSpec(num_frames=4, window_seconds=0.4)  # a grid time every 100 ms
STEP_NS = CLIP.step_ns


@pytest.fixture(scope="session")
def backbone_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A ViT of 32x32 pixels, 4 patches, D = 16, as transformers saves it."""
    folder = tmp_path_factory.mktemp("backbone")
    return save_vit(folder, num_hidden_layers=2, initializer_range=0.3)


@pytest.fixture
def backbone(backbone_folder: Path) -> Backbone:
    """A backbone of the test's own, which it may hook."""
    return Backbone.from_pretrained(backbone_folder)


@pytest.fixture
def make_head(backbone: Backbone) -> Callable[..., Head]:
    """Build a head with random weights: `make_head(task, labels=..., clip=..., backbone=...)`."""

    def make(task: str = "atomic_action", **changes: Any) -> Head:
        values: dict[str, Any] = {
            "task": task,
            "labels": ("open", "close", "idle"),
            "clip": CLIP,
            "probe": ProbeConfig(dim=16, num_heads=2),
            "backbone": backbone.identity,
        }
        torch.manual_seed(len(task))
        return Head(HeadConfig(**{**values, **changes})).eval()

    return make


@pytest.fixture
def perceiver(backbone: Backbone, make_head: Callable[..., Head]) -> Perceiver:
    """A perceiver of two tasks."""
    return Perceiver(
        backbone,
        {"atomic_action": make_head(), "object": make_head("object", labels=("cup", "tin"))},
    )


@pytest.fixture
def frame_at() -> Callable[[int], Frame]:
    """The frame of a stamp: its pixels depend on the stamp alone."""

    def make(stamp_ns: int) -> Frame:
        rng = np.random.default_rng(stamp_ns % 2**32)
        return Frame(stamp_ns, rng.integers(0, 256, (24, 32, 3), dtype=np.uint8))

    return make
