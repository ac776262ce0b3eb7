"""The package in a ROS 2 workspace: built by colcon, found through the index, started from install space."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from ..workspace import ROOT, UNDERLAY, build_workspace, sourced

pytestmark = pytest.mark.timeout(600)


@pytest.fixture(scope="module")
def install_space(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What `colcon build` makes of the package."""
    pytest.importorskip("colcon_core")
    return build_workspace(tmp_path_factory.mktemp("workspace"))


def run_sourced(install_space: Path, *command: object) -> str:
    """What a command prints in a shell that has sourced the workspace, away from the sources."""
    result = subprocess.run(
        sourced(install_space, command),
        cwd=install_space.parent,
        env=os.environ | UNDERLAY,
        capture_output=True,
        text=True,
    )
    assert result.returncode == 0, result.stdout + result.stderr
    return result.stdout


def test_is_found_through_the_ament_index(install_space: Path) -> None:
    find = "from ament_index_python import get_package_share_directory as find; print(find('step_ros'))"
    share = Path(run_sourced(install_space, sys.executable, "-c", find).strip())
    assert share == install_space / "step_ros/share/step_ros"
    assert (share / "package.xml").is_file()


@pytest.mark.parametrize("folder", ["bags", "config", "launch", "models"])
def test_shares_what_the_repository_shares(install_space: Path, folder: str) -> None:
    def files(root: Path) -> set[Path]:
        found = {path.relative_to(root) for path in (root / folder).rglob("*") if path.is_file()}
        return {path for path in found if "__pycache__" not in path.parts}

    assert files(install_space / "step_ros/share/step_ros") == files(ROOT)


@pytest.mark.parametrize("executable", ["perception", "bag_player", "demo"])
def test_ros2_run_finds_and_starts(install_space: Path, executable: str) -> None:
    pytest.importorskip("rclpy")
    path = install_space / "step_ros/lib/step_ros" / executable
    assert "usage" in run_sourced(install_space, path, "--help").lower()


def test_workspace_holds_one_package(install_space: Path) -> None:
    """A workspace with the real vision_msgs in it must not find ours a second time."""
    colcon = shutil.which("colcon", path=str(Path(sys.executable).parent)) or "colcon"
    command = [colcon, "--log-base", "/dev/null", "list", "--names-only", "--base-paths", str(ROOT)]
    listed = subprocess.run(command, cwd=install_space.parent, capture_output=True, text=True, check=True)
    assert listed.stdout.split() == ["step_ros"]
