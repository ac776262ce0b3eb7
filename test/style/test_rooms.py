"""The map in docs/architecture.md: which room of the package may lean on which."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest

PACKAGE = Path(__file__).resolve().parents[2] / "step_ros"

BELOW = {"frames", "backbones", "peft", "probes"}
OFFLINE = BELOW | {"perception", "scores", "training", "runs"}

# Room: the other rooms it may import.
ROOMS: dict[str, set[str]] = {
    "frames": set(),
    "scores": set(),
    "backbones": set(),
    "peft": {"backbones"},
    "probes": {"backbones", "frames"},
    "perception": BELOW,
    "training": BELOW | {"scores"},
    "runs": BELOW | {"perception", "scores"},
    "report": OFFLINE,
    "paper": OFFLINE | {"benchmark"},
    "benchmark": BELOW,
    "tabletop": {"frames"},
    # Of probes/, what a head says of itself; of scores/, how the demo and the planner keep score.
    "ros": {"frames", "perception", "probes", "scores", "runs"},
    # All; what needs ROS imports it when it is called.
    "cli": OFFLINE | {"benchmark", "paper", "report", "ros", "tabletop"},
}

# Runs with no ROS on the machine, unless it is ros/; reads images with no torch, if it is frames/.
NOT_IN: dict[str, set[str]] = {"ros": set(), "frames": {"rclpy", "torch"}}


def imported_modules(path: Path) -> set[str]:
    """The modules that a file imports anywhere, by their full names."""
    names: set[str] = set()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            names.update(alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            # A relative import counts its dots from the file's own package.
            base = ["step_ros", *path.parent.relative_to(PACKAGE).parts]
            base = base[: len(base) - node.level + 1] if node.level else []
            names.update(".".join([*base, *filter(None, [node.module]), alias.name]) for alias in node.names)
    return names


def test_every_room_is_on_the_map() -> None:
    assert {path.parent.name for path in PACKAGE.glob("*/__init__.py")} <= set(ROOMS)


@pytest.mark.parametrize("room", ROOMS)
def test_room_leans_only_on_its_own(room: str) -> None:
    for path in (PACKAGE / room).rglob("*.py"):
        modules = [module.split(".") for module in imported_modules(path)]
        outside = {module[1] for module in modules if module[0] == "step_ros"} & set(ROOMS) - ROOMS[room] - {
            room
        }
        assert not outside, f"{path}: {room}/ must not import {sorted(outside)}"
        foreign = {module[0] for module in modules} & NOT_IN.get(room, {"rclpy"})
        assert not foreign, f"{path}: {room}/ must not import {sorted(foreign)}"
