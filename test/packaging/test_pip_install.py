"""The package without ROS: a wheel with all of it and nothing else, and imports that ask for no rclpy."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import venv
import zipfile
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
SOURCES = ("setup.py", "setup.cfg", "pyproject.toml", "package.xml", "LICENSE", "README.md")
FOLDERS = ("step_ros", "resource", "bags", "config", "launch", "models", "test")

pytestmark = pytest.mark.timeout(600)


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The wheel that `pip install .` makes and installs, built from a copy: pip builds inside the sources."""
    # Isolated builds fetch setuptools from the registry; a test must not need it.
    pytest.importorskip("setuptools")
    copy = tmp_path_factory.mktemp("sources")
    for name in SOURCES:
        if (ROOT / name).is_file():
            shutil.copy(ROOT / name, copy)
    for folder in FOLDERS:
        if (ROOT / folder).is_dir():
            shutil.copytree(ROOT / folder, copy / folder, ignore=shutil.ignore_patterns("__pycache__"))
    folder = tmp_path_factory.mktemp("wheel")
    pip = [
        sys.executable,
        "-m",
        "pip",
        "wheel",
        "--no-deps",
        "--no-build-isolation",
        "--wheel-dir",
        str(folder),
    ]
    result = subprocess.run([*pip, str(copy)], capture_output=True, text=True)
    assert result.returncode == 0, result.stdout + result.stderr
    return next(folder.glob("step_ros-*.whl"))


def test_wheel_holds_every_module_and_no_tests(wheel: Path) -> None:
    names = set(zipfile.ZipFile(wheel).namelist())
    modules = {path.relative_to(ROOT).as_posix() for path in (ROOT / "step_ros").rglob("*.py")}
    assert modules <= names
    page = (ROOT / "step_ros" / "evaluation" / "report" / "page").iterdir()
    assert {path.relative_to(ROOT).as_posix() for path in page} <= names
    assert "step_ros/py.typed" in names
    assert {name.split("/")[0].split("-")[0] for name in names} == {"step_ros"}


def test_wheel_holds_every_shared_file(wheel: Path) -> None:
    names = {name.partition(".data/data/share/step_ros/")[2] for name in zipfile.ZipFile(wheel).namelist()}
    for folder in ("bags", "config", "launch", "models"):
        files = [path for path in (ROOT / folder).rglob("*") if path.is_file() and path.suffix != ".pyc"]
        assert {path.relative_to(ROOT).as_posix() for path in files} <= names


def test_command_is_on_the_path_of_the_environment(wheel: Path, tmp_path: Path) -> None:
    """setup.cfg sends executables to lib/step_ros, where `ros2 run` looks: that must not hold for pip."""
    venv.create(tmp_path / "environment", with_pip=False)
    python = tmp_path / "environment/bin/python"
    install = [
        sys.executable,
        "-m",
        "pip",
        f"--python={python}",
        "install",
        "--no-deps",
        "--no-index",
        str(wheel),
    ]
    # The wheels' rclpy restarts Python under pip's feet, and that loses the environment pip installs to.
    guard = os.environ | {"_ROS_WHEELS_BOOTSTRAP_COMPLETE": "1"}
    result = subprocess.run(install, env=guard, capture_output=True, text=True)
    assert result.returncode == 0, result.stdout + result.stderr
    assert os.access(tmp_path / "environment/bin/step-ros", os.X_OK)
    assert not (tmp_path / "environment/lib/step_ros").exists()


IMPORT_ALL_BUT_ROS = """
import importlib, pkgutil, sys

for name in ("rclpy", "ament_index_python", "diagnostic_msgs", "sensor_msgs", "std_msgs", "vision_msgs"):
    sys.modules[name] = None  # importing it is an error from here on

import step_ros

for module in pkgutil.walk_packages(step_ros.__path__, "step_ros."):
    if not module.name.startswith("step_ros.ros") and not module.name.endswith("__main__"):
        importlib.import_module(module.name)
"""


def test_everything_but_the_node_imports_without_ros() -> None:
    result = subprocess.run([sys.executable, "-c", IMPORT_ALL_BUT_ROS], capture_output=True, text=True)
    assert result.returncode == 0, result.stderr
