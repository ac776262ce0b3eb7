"""Folders of videos a class: found by what they hold, and what is left out is named."""

from __future__ import annotations

import shutil
from pathlib import Path

import av
import cv2
import numpy as np
import pytest

from step_ros.training.datasets import ClipsError
from step_ros.training.datasets.class_folders import read_class_folders


@pytest.fixture
def root(tmp_path: Path) -> Path:
    folder = tmp_path / "films"
    (folder / "open").mkdir(parents=True)
    with av.open(str(folder / "open" / "a.mp4"), "w") as container:
        stream = container.add_stream("mpeg4", rate=10)
        stream.width = stream.height = 32
        stream.pix_fmt = "yuv420p"
        for _ in range(3):
            container.mux(stream.encode(av.VideoFrame.from_ndarray(np.zeros((32, 32, 3), np.uint8))))
        container.mux(stream.encode())
    return folder


def found(root: Path) -> dict[str, str]:
    return {
        str(clip.video.relative_to(root)): clip.labels["action"] for clip in read_class_folders(root).clips
    }


def test_what_holds_a_film_is_one_whatever_it_is_called(root: Path) -> None:
    for name in ("b.MTS", "c.3gp", "d.wmv", "e.ts", "f", "g.film"):
        shutil.copy(root / "open" / "a.mp4", root / "open" / name)
    assert set(found(root)) == {
        f"open/{name}" for name in ("a.mp4", "b.MTS", "c.3gp", "d.wmv", "e.ts", "f", "g.film")
    }


def test_what_holds_none_is_counted_and_named(root: Path) -> None:
    cv2.imwrite(str(root / "open" / "cover.jpg"), np.zeros((32, 32, 3), np.uint8))
    for name in ("notes.txt", "more.txt"):
        (root / "open" / name).write_text("not a film")
    shutil.copy(root / "open" / "a.mp4", root / "stray.mp4")
    assert found(root) == {"open/a.mp4": "open"}
    problems = read_class_folders(root).problems
    assert problems[0] == "stray.mp4: lies in no CLASS/ or SPLIT/CLASS/ folder"
    assert problems[1].endswith("films: files that hold no video (2 .txt, 1 .jpg)")


def test_linked_folders_are_classes_and_hidden_ones_are_not(root: Path, tmp_path: Path) -> None:
    shutil.copytree(root / "open", tmp_path / "elsewhere")
    (root / "close").symlink_to(tmp_path / "elsewhere")
    shutil.copytree(root / "open", root / ".trash")
    (root / "open" / "again").symlink_to(root)
    assert found(root) == {"open/a.mp4": "open", "close/a.mp4": "close"}


def test_a_folder_without_films_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(ClipsError, match="has no videos in CLASS/"):
        read_class_folders(tmp_path)
