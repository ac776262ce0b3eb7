"""Every command in the documentation: run, or, where that takes a robot, checked by what it names.

Each page has a folder of its own in which its commands run one after the other, as a reader's would, with the
bundled models and the first seconds of the bundled recording.
"""

from __future__ import annotations

import os
import re
import shlex
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from step_ros.ros.launch_arguments import node_launch, parse_arguments

from ..published_topics import published_topics
from ..short_bag import first_seconds

ROOT = Path(__file__).resolve().parents[2]
PAGES = sorted((ROOT / "docs").glob("*.md"))
SECONDS = 2.5

NOT_HERE = {
    "git": "needs a network",
    "cd": "into a workspace of the reader's",
    "rosdep": "ROS's own",
    "rqt": "ROS's own",
    "rviz2": "ROS's own",
    "sudo": "installs into the system",
    ".": "into the reader's shell",
    "export": "into the reader's shell",
    "src/step_ros/scripts/setup_environment.sh": "test/packaging/test_readme.py runs it",
    "make": "what runs this test, or is tested by itself",
}
"""First words of commands that cannot run in a test, and why."""


def commands(page: Path) -> list[str]:
    """The lines of a page's shell blocks; a line that ends in a backslash goes on."""
    blocks = re.findall(
        r"^```(?:sh|bash|shell|console)\n(.*?)^```", page.read_text(), re.DOTALL | re.MULTILINE
    )
    lines = "\n".join(blocks).replace("\\\n", " ").splitlines()
    return [line.strip() for line in lines if line.strip() and not line.startswith("#")]


@pytest.fixture(scope="module")
def short_bag(tmp_path_factory: pytest.TempPathFactory) -> Path:
    bag = tmp_path_factory.mktemp("bags") / "tabletop"
    first_seconds(ROOT / "bags" / "tabletop", bag, SECONDS)
    return bag


@pytest.fixture
def folder(tmp_path: Path, short_bag: Path) -> Iterator[Path]:
    """What a reader has in front of them: the repository, but for the recording's length."""
    for name in ("config", "examples", "models", "scripts"):
        (tmp_path / name).symlink_to(ROOT / name)
    (tmp_path / "bags").mkdir()
    (tmp_path / "bags" / "tabletop").symlink_to(short_bag)
    binaries = tmp_path / "bin"
    binaries.mkdir()
    for name, module in {"step-ros": "-m step_ros.cli", "python": ""}.items():
        (binaries / name).write_text(f'#!/bin/sh\nexec {shlex.quote(sys.executable)} {module} "$@"\n')
        (binaries / name).chmod(0o755)
    yield tmp_path


def run(command: str, folder: Path) -> None:
    environment = {
        **os.environ,
        "PATH": f"{folder / 'bin'}:{os.environ['PATH']}",
        "PYTHONPATH": os.pathsep.join(filter(None, [str(ROOT), os.environ.get("PYTHONPATH", "")])),
    }
    done = subprocess.run(
        ["bash", "-c", command], cwd=folder, env=environment, capture_output=True, text=True
    )
    assert done.returncode == 0, f"{command}\n{done.stdout}{done.stderr}"


def check_ros2(words: list[str]) -> None:
    """What a `ros2` command names of ours exists."""
    if words[1] == "launch" and words[2] == "step_ros":
        launch_file = (ROOT / "launch" / words[3]).read_text()
        given = [word for word in words[4:] if ":=" in word]
        if words[3] == "perception.launch.py":
            node_launch(parse_arguments(given))
            return
        for argument in re.findall(r"(\w+):=", " ".join(given)):
            assert f'"{argument}"' in launch_file, f"{words[3]} has no argument {argument}"
    if words[1:3] == ["param", "set"]:
        name = words[4].split(".")
        assert name[-1] in (ROOT / "config" / "perception.yaml").read_text()


def check_options(words: list[str]) -> None:
    """A `step-ros` command that needs what is not here has the options that are given."""
    shown = subprocess.run(
        [sys.executable, "-m", "step_ros.cli", words[1], "--help"], cwd=ROOT, capture_output=True, text=True
    )
    assert shown.returncode == 0, f"step-ros has no command {words[1]}"
    for option in (word for word in words[2:] if word.startswith("--")):
        assert option in shown.stdout, f"step-ros {words[1]} has no option {option}"


NEEDS = {"step-ros export": "onnxscript"}
"""Packages of an extra without which a command says what to install."""

ELSEWHERE = {
    "step-ros watch": "test/ros/test_watch.py runs it beside a node",
    "python examples/handover_planner.py": "test/behaviour/test_planner_example.py runs it beside a node",
    "python examples/planner_day.py": "test/behaviour/test_planner_example.py runs it with a node",
}


@pytest.mark.timeout(1200)
@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_every_command_of_a_page_works(page: Path, folder: Path) -> None:
    table = re.search(r"^```text\n(start,end,.*?)^```", page.read_text(), re.DOTALL | re.MULTILINE)
    if table:
        (folder / "truth.csv").write_text(table[1])
    for command in commands(page):
        words = shlex.split(command, comments=True)
        two = " ".join(words[:2])
        if words[0] in NOT_HERE or two in ELSEWHERE:
            continue
        if words[0] == "ros2":
            check_ros2(words)
        elif two in NEEDS and not installed(NEEDS[two]):
            check_options(words)
        elif words[0] == "step-ros" and not all((folder / word).exists() for word in inputs(words)):
            check_options(words)
        else:
            run(command, folder)


def installed(package: str) -> bool:
    import importlib.util

    return importlib.util.find_spec(package) is not None


def inputs(words: list[str]) -> list[str]:
    """The files that a command reads: arguments that look like paths, outputs excepted."""
    return [
        word
        for before, word in zip(words[1:], words[2:], strict=False)
        if before not in ("--out", "--models")
        and not word.startswith("-")
        and ("/" in word or "." in word)
        and not word.startswith(("/", "tabletop/"))
    ]


def test_a_recording_as_the_manual_has_it_holds_all_that_the_node_says_and_no_drawings() -> None:
    (command,) = (
        words
        for words in map(shlex.split, commands(ROOT / "docs" / "robot.md"))
        if words[:3] == ["ros2", "bag", "record"]
    )
    recorded = re.compile(command[command.index("--regex") + 1])
    not_said = {"/perception/annotated_image/compressed", "/bond"}
    published = published_topics()
    assert not_said < published
    assert {topic for topic in published if recorded.fullmatch(topic)} == published - not_said
    # rosbag2 searches in some releases and matches in others.
    assert {topic for topic in published if recorded.search(topic)} == published - not_said
    assert recorded.search("/camera/image_raw/compressed")
    assert recorded.search("/perception/front/object/stable")
    assert not recorded.search("/perception/front/annotated_image/compressed")


def test_commands_are_found() -> None:
    assert "step-ros replay bags/tabletop --out run" in commands(ROOT / "docs" / "index.md")
