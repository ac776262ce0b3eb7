"""Films and stills, and the backbone that is made of them, at the smallest size that there is."""

from __future__ import annotations

import csv
from pathlib import Path

import pytest
import torch

from step_ros.backbones import Backbone
from step_ros.frames import read_video
from step_ros.tabletop.labels import TASKS, task_labels

pytest.importorskip("mujoco", reason="the tabletop is rendered with the extra `tabletop`")

from step_ros.tabletop.dataset import render_films, render_stills  # noqa: E402
from step_ros.tabletop.pretrain import pretrain  # noqa: E402

SPLITS = {"train": 1, "validation": 1, "test": 1}


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("tabletop")
    render_films(root, SPLITS, workers=1)
    render_stills(root, 2, workers=1)
    return root


def test_films_are_labelled_for_every_task(data: Path) -> None:
    with (data / "clips.csv").open() as file:
        clips = list(csv.DictReader(file))
    assert {clip["split"] for clip in clips} == set(SPLITS)
    for clip in clips:
        assert float(clip["start"]) < float(clip["end"])
        assert all(clip[task] in task_labels(task) for task in TASKS)
    films = {
        clip["video"]: max(float(c["end"]) for c in clips if c["video"] == clip["video"]) for clip in clips
    }
    for film, end in films.items():
        frames = list(read_video(data / film))
        assert frames[-1].stamp_ns / 1e9 == pytest.approx(end, abs=0.2)


@pytest.mark.skipif(
    not hasattr(torch.optim, "Muon"), reason="the backbone is trained with Muon, of PyTorch 2.9"
)
def test_a_backbone_is_made_of_stills(data: Path, tmp_path: Path) -> None:
    pretrain(data, tmp_path / "backbone", epochs=1, batch_size=4)
    backbone = Backbone.from_pretrained(tmp_path / "backbone")
    assert (backbone.num_patches, backbone.dim) == (64, 192)
    frame = next(iter(read_video(next((data / "videos").iterdir()))))
    assert bool(torch.isfinite(backbone.encode(frame.rgb[None])).all())
