"""The README's ways to one's own camera, pasted into a shell in the folders that they speak of.

Each begins with an environment of its own that sees what is installed here, so that the set-up finds its
downloads done; what needs a network or ROS's own command line tools is left out where there is none.
"""

from __future__ import annotations

import os
import re
import shutil
import signal
import subprocess
import sys
import sysconfig
import time
import venv
from collections.abc import Iterator
from pathlib import Path

import pytest

pytest.importorskip("rclpy", reason="there is no ROS 2 here")

ROOT = Path(__file__).resolve().parents[2]
NOT_COPIED = (
    ".git",
    ".venv",
    "build",
    "install",
    "log",
    "demo_output",
    "__pycache__",
    "*.egg-info",
    ".*_cache",
)

pytestmark = pytest.mark.timeout(900)


def way(name: str) -> list[str]:
    """The commands below the README's words in bold."""
    text = (ROOT / "README.md").read_text()
    (block,) = re.findall(rf"^\*\*{name}\*\*.*\n\n((?:    .*\n)+)", text, re.MULTILINE)
    return [line.strip() for line in block.splitlines()]


def prepare(clone: Path, environment: Path) -> None:
    """The clone, and an environment that sees what is installed here."""
    shutil.copytree(ROOT, clone, ignore=shutil.ignore_patterns(*NOT_COPIED))
    venv.create(environment, with_pip=False)
    (packages,) = environment.glob("lib/python*/site-packages")
    (packages / "installed_here.pth").write_text(sysconfig.get_path("purelib") + "\n")


@pytest.fixture
def shell() -> Iterator[dict[str, str]]:
    """What a reader's shell has set; that rclpy was imported here has set where its libraries are."""
    yield {name: value for name, value in os.environ.items() if name not in ("PYTHONPATH", "VIRTUAL_ENV")} | {
        "PYTHON": sys._base_executable,  # type: ignore[attr-defined]
        "PIP_RETRIES": "1",
    }


def paste(lines: list[str], folder: Path, environment: dict[str, str]) -> str:
    """Run the lines in one shell, and return what they print."""
    script = "\n".join(["set -e", *lines])
    done = subprocess.run(
        ["bash", "-c", script], cwd=folder, env=environment, capture_output=True, text=True, errors="replace"
    )
    if re.search(r"NewConnectionError|NameResolutionError", done.stderr):
        pytest.skip("there is no package index to install setuptools from")
    assert done.returncode == 0, f"{script}\n{done.stdout}{done.stderr}"
    return done.stdout


def test_in_a_ros_2_workspace(tmp_path: Path, shell: dict[str, str]) -> None:
    pytest.importorskip("colcon_core")
    clone, rosdep, setup, build, launch = way("In a ROS 2 workspace")
    assert clone.endswith("src/step_ros") and rosdep.startswith("rosdep")
    workspace = tmp_path / "ros2_ws"
    prepare(workspace / "src" / "step_ros", workspace / ".venv")
    file = " ".join(launch.split()[2:4])
    said = paste(
        [
            setup,
            build,
            f"ros2 launch {file} --show-args" if shutil.which("ros2") else "",
            "install/step_ros/lib/step_ros/perception --help",
            "echo packages: $(python -m colcon list --names-only)",
            "echo folders: $(ls -A)",
        ],
        workspace,
        shell,
    )
    assert "usage: ros2 run step_ros perception" in said
    assert "packages: step_ros\n" in said, "colcon looks for packages in .venv"
    assert "folders: .venv build install log src\n" in said
    assert not (workspace / "src" / "step_ros" / ".venv").exists()
    started = (workspace / "install" / "step_ros" / "lib" / "step_ros" / "perception").read_text()
    assert started.startswith(f"#!{workspace}/.venv/bin/python")


def test_with_no_ros_on_the_machine(tmp_path: Path, shell: dict[str, str]) -> None:
    setup, node, play, watch = (line.partition("#")[0].strip() for line in way("With no ROS on the machine"))
    clone = tmp_path / "step_ros"
    prepare(clone, clone / ".venv")
    paste([setup], clone, shell)
    terminals = [
        subprocess.Popen(
            ["bash", "-c", f". .venv/bin/activate && exec {line}"],
            cwd=clone,
            env=shell,
            stdout=subprocess.DEVNULL,
        )
        for line in (node, play)
    ]
    try:
        seen = ""
        give_up = time.monotonic() + 300
        while "atomic_action: " not in seen and time.monotonic() < give_up:
            assert all(terminal.poll() is None for terminal in terminals)
            done = subprocess.run(
                ["bash", "-c", f". .venv/bin/activate && {watch} --seconds 10"],
                cwd=clone,
                env=shell,
                capture_output=True,
                text=True,
            )
            seen = done.stdout + done.stderr
        assert "atomic_action: " in seen and "object: " in seen, seen
        for terminal in terminals:
            terminal.send_signal(signal.SIGINT)
        assert [terminal.wait(60) for terminal in terminals] == [0, 0]
    finally:
        for terminal in terminals:
            terminal.kill()
