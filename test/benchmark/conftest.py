"""A run of a few small cases, made once for all tests that look at it."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
import torch
import transformers

from step_ros.backbones import Backbone
from step_ros.benchmark.presets import Preset
from step_ros.benchmark.results import Results
from step_ros.benchmark.roofline import Roofline
from step_ros.benchmark.row import Case
from step_ros.benchmark.session import run_cases

OURS = ("recompute", "cached", "streaming")

PREPROCESS = {
    "size": {"height": 56, "width": 56},
    "resample": 2,
    "do_center_crop": False,
    "image_mean": [0.5, 0.4, 0.3],
    "image_std": [0.2, 0.3, 0.4],
}


def small_backbone(name: str, folder: Path, device: torch.device) -> Backbone:
    """A DINOv2 of 16 tokens, under the name of a large one."""
    torch.manual_seed(0)
    config = transformers.Dinov2Config(
        hidden_size=32, num_hidden_layers=2, num_attention_heads=2, image_size=56, patch_size=14
    )
    transformers.Dinov2Model(config).save_pretrained(folder)
    (folder / "preprocessor_config.json").write_text(json.dumps(PREPROCESS))
    return Backbone.from_pretrained(folder, device=device)


@contextmanager
def one_thread() -> Iterator[None]:
    """Networks this small are faster on one core."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


@pytest.fixture(scope="module", autouse=True)
def in_one_thread() -> Iterator[None]:
    with one_thread():
        yield


@pytest.fixture(scope="session")
def results() -> Results:
    cases = (
        *(Case("vitb14", 16, tasks, (*OURS, "multi_pass")) for tasks in (3, 1)),
        Case("vits14", 8, 3, OURS),
        Case("vits14", 8, 3, ("streaming",), cameras=2),
    )
    preset = Preset("cpu", cases, seconds=0.0, limit_seconds=600.0)
    limits = Roofline(flops_per_second=1e11, bytes_per_second=1e10)
    with one_thread():
        return run_cases("cpu", preset, engine="eager", make_backbone=small_backbone, roofline=limits)
