"""Clips on disk, and a way to run a command on them."""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path

import cv2
import numpy as np
import pytest

from step_ros.cli import main

from ..tiny_models import save_vit


@pytest.fixture
def run(monkeypatch: pytest.MonkeyPatch) -> Callable[..., None]:
    """Runs a command as `step-ros` does: `run("train", "--store", folder)`."""

    def run(*arguments: object) -> None:
        monkeypatch.setattr(sys, "argv", ["step-ros", *map(str, arguments)])
        main()

    return run


@pytest.fixture
def data(tmp_path: Path) -> Path:
    """Clips of a square that moves right or left, in three scenes; and a tiny backbone beside them."""
    save_vit(tmp_path / "backbone", hidden_size=32, intermediate_size=64, patch_size=8)
    rows = ["video,scene,verb,thing"]
    for scene in range(3):
        for index in range(4):
            (tmp_path / f"scene{scene}").mkdir(exist_ok=True)
            name, verb = f"scene{scene}/{index}.mp4", ("move_right", "move_left")[index % 2]
            writer = cv2.VideoWriter(str(tmp_path / name), cv2.VideoWriter.fourcc(*"mp4v"), 10, (64, 64))
            for t in range(20):
                x = 2 * (t if verb == "move_right" else 19 - t)
                frame = np.full((64, 64, 3), 40 + 20 * scene + 3 * index, np.uint8)
                frame[20:40, x : x + 16] = (40, 200, 250)
                writer.write(frame)
            writer.release()
            rows.append(f"{name},scene{scene},{verb},{'square' if index < 2 else 'box'}")
    (tmp_path / "clips.csv").write_text("\n".join(rows) + "\n")
    return tmp_path
