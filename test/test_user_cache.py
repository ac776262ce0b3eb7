"""Folders whose content is run: the user's own, and nobody else's."""

from __future__ import annotations

import os
import tempfile
from pathlib import Path

import pytest
import torch

from step_ros.user_cache import compile_privately, default_cache_folder, private_folder

NAME = "TORCHINDUCTOR_CACHE_DIR"


def test_the_folder_is_the_users_to_choose(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    monkeypatch.delenv("STEP_ROS_CACHE", raising=False)
    assert default_cache_folder() == tmp_path / "step_ros"
    monkeypatch.setenv("STEP_ROS_CACHE", str(tmp_path / "mine"))
    assert default_cache_folder() == tmp_path / "mine"


def test_a_private_folder_is_made_for_its_user_alone(tmp_path: Path) -> None:
    folder = private_folder(tmp_path / "deep" / "cache")
    assert folder.stat().st_mode & 0o777 == 0o700
    assert private_folder(folder) == folder


def test_a_link_is_no_private_folder(tmp_path: Path) -> None:
    (tmp_path / "link").symlink_to(tmp_path)
    with pytest.raises(PermissionError, match="not this user's own"):
        private_folder(tmp_path / "link")


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can give a folder away")
def test_a_folder_of_another_user_is_not_used(tmp_path: Path) -> None:
    os.chown(private_folder(tmp_path / "cache"), 65534, 65534)
    with pytest.raises(PermissionError, match="not this user's own"):
        private_folder(tmp_path / "cache")


@pytest.mark.parametrize("before", [None, "torch's own"])
def test_compiled_code_is_kept_in_a_folder_of_the_users_own(
    before: str | None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("STEP_ROS_CACHE", str(tmp_path))
    monkeypatch.setenv(NAME, "" if before is None else str(Path(tempfile.gettempdir(), "torchinductor_me")))
    compile_privately(torch.neg)
    assert os.environ[NAME] == str(tmp_path / "inductor")
    assert (tmp_path / "inductor").stat().st_mode & 0o777 == 0o700


def test_what_the_user_chose_is_taken(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(NAME, str(tmp_path / "mine"))
    compile_privately(torch.neg)
    assert os.environ[NAME] == str(tmp_path / "mine")


def test_a_folder_that_others_may_write_to_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(NAME, "")
    monkeypatch.setenv("STEP_ROS_CACHE", str(tmp_path))
    (tmp_path / "inductor").mkdir()
    (tmp_path / "inductor").chmod(0o777)
    with pytest.raises(PermissionError, match="inductor, where compiled .*others may write"):
        compile_privately(torch.neg)
