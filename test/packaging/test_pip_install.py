"""The package without ROS: a wheel with all of it and nothing else, and what it does with no extra."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
import venv
import zipfile
from pathlib import Path

import pytest

from step_ros.cli import commands

from ..short_bag import first_seconds

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
    page = (ROOT / "step_ros" / "report" / "page").iterdir()
    assert {path.relative_to(ROOT).as_posix() for path in page} <= names
    assert "step_ros/py.typed" in names
    assert {name.split("/")[0].split("-")[0] for name in names} == {"step_ros"}


def test_wheel_holds_every_shared_file(wheel: Path) -> None:
    names = {name.partition(".data/data/share/step_ros/")[2] for name in zipfile.ZipFile(wheel).namelist()}
    for folder in ("bags", "config", "launch", "models"):
        files = [path for path in (ROOT / folder).rglob("*") if path.is_file() and path.suffix != ".pyc"]
        assert {path.relative_to(ROOT).as_posix() for path in files} <= names


def without_the_sources() -> dict[str, str]:
    """The variables of this process, but for those that lead Python to packages: to ours, as one of them."""
    return {name: value for name, value in os.environ.items() if name not in ("PYTHONPATH", "PYTHONHOME")}


@pytest.fixture(scope="module")
def environment(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A new virtual environment with the wheel and what it requires, in the pinned versions; no extra."""
    folder = tmp_path_factory.mktemp("environment")
    venv.create(folder, with_pip=False)
    pins = ROOT / "constraints" / f"python{sys.version_info.major}.{sys.version_info.minor}.txt"
    pip = [sys.executable, "-m", "pip", f"--python={folder / 'bin' / 'python'}", "install"]
    install = [*pip, "--no-compile", "--retries=1", f"--constraint={pins}", str(wheel)]
    # The wheels' rclpy restarts Python under pip's feet, and that loses the environment pip installs to.
    guard = without_the_sources() | {"_ROS_WHEELS_BOOTSTRAP_COMPLETE": "1"}
    result = subprocess.run(install, env=guard, capture_output=True, text=True)
    if "NewConnectionError" in result.stderr or "NameResolutionError" in result.stderr:
        pytest.skip("there is no package index to install from")
    assert result.returncode == 0, result.stdout + result.stderr
    return folder


def run_in(environment: Path, folder: Path, *command: object) -> subprocess.CompletedProcess[str]:
    """Run a program of an environment, which sees nothing of this one, nor of the sources."""
    program, *arguments = map(str, command)
    return subprocess.run(
        [environment / "bin" / program, *arguments],
        cwd=folder,
        env=without_the_sources(),
        capture_output=True,
        text=True,
    )


def test_command_is_on_the_path_of_the_environment(environment: Path) -> None:
    """setup.cfg sends executables to lib/step_ros, where `ros2 run` looks: that must not hold for pip."""
    assert os.access(environment / "bin" / "step-ros", os.X_OK)
    assert not (environment / "lib" / "step_ros").exists()


def test_every_command_has_its_help(environment: Path, tmp_path: Path) -> None:
    for command in ("", *commands([])):
        done = run_in(environment, tmp_path, "step-ros", *filter(None, [command]), "--help")
        assert done.returncode == 0, done.stderr
        assert f"usage: step-ros {command}".strip() in done.stdout


def test_what_the_bundled_models_are_for_works(environment: Path, tmp_path: Path) -> None:
    """A recording replayed and reported on; its tokens extracted, heads trained on them, and judged."""
    first_seconds(ROOT / "bags" / "tabletop", tmp_path / "bag", 4.0)
    backbone = environment / "share" / "step_ros" / "models" / "tabletop" / "backbone"
    for line in (
        "replay bag --out run --video",
        "report run",
        f"extract --data bag --backbone {backbone} --window 1.5 --tasks object --out store",
        "train --store store --out heads --steps 2 --num-heads 4",
        "evaluate --store store --heads heads --split train --json results.json",
    ):
        done = run_in(environment, tmp_path, "step-ros", *line.split())
        assert done.returncode == 0, f"{line}\n{done.stdout}{done.stderr}"
    assert (tmp_path / "run" / "report.html").stat().st_size > 100_000
    assert "top1" in json.loads((tmp_path / "results.json").read_text())["object"]


def test_pip_alone_is_enough_for_what_the_readme_says_of_it(environment: Path, tmp_path: Path) -> None:
    """Its commands for a recording, and its example in Python on a film of that recording."""
    readme = (ROOT / "README.md").read_text()
    assert "\n    pip install .\n" in readme  # which made the environment
    first_seconds(ROOT / "bags" / "tabletop", tmp_path / "bags" / "tabletop", 3.0)
    commands_of_it = re.findall(r"^    step-ros ((?:replay|report) [^#\n]+)", readme, re.MULTILINE)
    assert len(commands_of_it) == 2
    for line in (*commands_of_it, "replay bags/tabletop --out filmed --video"):
        done = run_in(environment, tmp_path, "step-ros", *line.split())
        assert done.returncode == 0, f"{line}\n{done.stdout}{done.stderr}"
    assert (tmp_path / "run" / "report.html").is_file()
    (tmp_path / "filmed" / "annotated.mp4").rename(tmp_path / "drawer.mp4")
    (example,) = re.findall(r"^```python\n(.*?)^```", readme, re.MULTILINE | re.DOTALL)
    done = run_in(environment, tmp_path, "python", "-c", example)
    assert done.returncode == 0, done.stderr
    assert "atomic_action" in done.stdout and "object" in done.stdout


def test_a_package_of_an_extra_is_named(environment: Path, tmp_path: Path) -> None:
    done = run_in(environment, tmp_path, "step-ros", "tabletop-bag", "--out", "bag")
    assert done.returncode == 1
    expected = "step-ros tabletop-bag: mujoco is not installed; pip install 'step_ros[tabletop]'"
    assert done.stderr.strip() == expected


IMPORT_ALL_BUT_ROS = """
import importlib, pkgutil

import step_ros

for module in pkgutil.walk_packages(step_ros.__path__, "step_ros."):
    if not module.name.startswith("step_ros.ros") and not module.name.endswith("__main__"):
        importlib.import_module(module.name)
"""


def test_everything_but_the_node_imports_without_ros(environment: Path, tmp_path: Path) -> None:
    result = run_in(environment, tmp_path, "python", "-c", IMPORT_ALL_BUT_ROS)
    assert result.returncode == 0, result.stderr
