"""A ROS 2 workspace with the package in it, built by colcon, and commands that run as in a reader's shell."""

from __future__ import annotations

import os
import shlex
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]

# ROS from wheels has no setup file that would name its own prefix.
UNDERLAY = {"AMENT_PREFIX_PATH": os.environ.get("AMENT_PREFIX_PATH", sys.prefix)}


def build_workspace(folder: Path) -> Path:
    """Build the package in a workspace; returns its install space."""
    command = [sys.executable, "-m", "colcon", "--log-base", "log", "build", "--paths", str(ROOT)]
    result = subprocess.run(command, cwd=folder, capture_output=True, text=True)
    assert result.returncode == 0, result.stdout + result.stderr
    return folder / "install"


def sourced(install_space: Path, command: Sequence[object]) -> list[str]:
    """A command for a process that has sourced the workspace; to be run in `UNDERLAY`'s environment."""
    line = shlex.join(map(str, command))
    return ["bash", "-c", f"source {shlex.quote(str(install_space / 'setup.bash'))} && exec {line}"]
