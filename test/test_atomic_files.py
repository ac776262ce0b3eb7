"""A file is as it was or as it shall be, whichever write fails; the next run ends as an undisturbed one."""

from __future__ import annotations

import os
import stat
import subprocess
import sys
from pathlib import Path

import cv2
import numpy as np
import pytest
import torch
from safetensors.torch import save_file

from step_ros.atomic_files import new_file, new_files, write_text
from step_ros.backbones import Backbone
from step_ros.training.datasets import read_dataset
from step_ros.training.extract import ExtractOptions, extract
from step_ros.training.store import ClipSampling

from .tiny_models import save_vit

HERE = Path(__file__).parent


def test_a_file_keeps_its_content_until_the_new_one_is_whole(tmp_path: Path) -> None:
    path = tmp_path / "a.json"
    write_text(path, "old")
    with pytest.raises(ZeroDivisionError), new_file(path) as draft:
        assert draft.name == path.name  # writers that look at the suffix see what they expect
        draft.write_text("new")
        assert path.read_text() == "old"
        raise ZeroDivisionError
    assert path.read_text() == "old" and os.listdir(tmp_path) == ["a.json"]
    write_text(path, "n\u00e9w")
    assert path.read_bytes() == b"n\xc3\xa9w" and os.listdir(tmp_path) == ["a.json"]


def test_what_a_kill_has_left_is_taken_away(tmp_path: Path) -> None:
    kill = (
        "import os, signal, sys; from pathlib import Path; from step_ros.atomic_files import new_file\n"
        "with new_file(Path(sys.argv[1])) as draft:\n"
        "    draft.write_text('half')\n"
        "    os.kill(os.getpid(), signal.SIGKILL)\n"
    )
    assert subprocess.run([sys.executable, "-c", kill, tmp_path / "a"]).returncode < 0
    assert len(os.listdir(tmp_path)) == 1 and not (tmp_path / "a").exists()
    write_text(tmp_path / "a", "whole")
    assert os.listdir(tmp_path) == ["a"] and (tmp_path / "a").read_text() == "whole"


def test_files_have_the_mode_of_any_new_file(tmp_path: Path) -> None:
    (tmp_path / "plain").touch()
    with new_file(tmp_path / "weights") as draft:
        save_file({"a": torch.zeros(1)}, draft)
    modes = {stat.S_IMODE(path.stat().st_mode) for path in tmp_path.iterdir()}
    assert len(modes) == 1


def test_what_a_link_names_is_written_and_a_device_takes_what_it_is_given(tmp_path: Path) -> None:
    write_text(tmp_path / "real", "old")
    (tmp_path / "link").symlink_to(tmp_path / "real")
    write_text(tmp_path / "link", "new")
    assert (tmp_path / "link").is_symlink() and (tmp_path / "real").read_text() == "new"
    program = (
        "from pathlib import Path; from step_ros.atomic_files import write_text\n"
        "write_text(Path('/dev/stdout'), 'said')\n"
    )
    done = subprocess.run([sys.executable, "-c", program], stdout=subprocess.PIPE, check=True)
    assert done.stdout == b"said"


def test_a_folder_s_files_change_together_and_others_stay(tmp_path: Path) -> None:
    folder = tmp_path / "head"
    for content in ("old", "new"):
        with new_files(folder, last="config.json") as draft:
            for name in ("config.json", "weights", "card"):
                (draft / name).write_text(content)
        (folder / "notes").write_text("mine")
    assert {path.name: path.read_text() for path in folder.iterdir()} == {
        "config.json": "new",
        "weights": "new",
        "card": "new",
        "notes": "mine",
    }
    with pytest.raises(ZeroDivisionError), new_files(folder, last="config.json") as draft:
        (draft / "config.json").write_text("newer")
        raise ZeroDivisionError
    with pytest.raises(FileNotFoundError), new_files(folder, last="config.json") as draft:
        (draft / "weights").write_text("newer")  # and nothing that comes last
    assert len(list(folder.iterdir())) == 4
    assert {(folder / name).read_text() for name in ("config.json", "weights", "card")} == {"new"}


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
