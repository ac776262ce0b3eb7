"""A file is as it was or as it shall be; behaviour/test_failing_disk.py shows that for every write."""

from __future__ import annotations

import os
import stat
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file

from step_ros.atomic_files import new_file, new_files, write_text


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
