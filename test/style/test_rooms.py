"""The map in docs/architecture.md: which room of the package may lean on which."""

from __future__ import annotations

import ast
from collections.abc import Mapping, Sequence
from graphlib import CycleError, TopologicalSorter
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
    # Of probes/, what a head says of itself; of report/, the page that the demo leaves.
    "ros": {"frames", "perception", "probes", "scores", "runs", "report"},
    # All; what needs ROS imports it when it is called.
    "cli": OFFLINE | {"benchmark", "paper", "report", "ros", "tabletop"},
}

ENGINES = "step_ros.backbones.engines"

# Runs with no ROS on the machine, unless it is ros/; reads images with no torch, if it is frames/, and scores
# with numpy and scikit-learn, if it is scores/.
NOT_IN: dict[str, set[str]] = {
    "ros": set(),
    "frames": {"rclpy", "torch"},
    "scores": {"rclpy", "torch", "torchmetrics", "scipy"},
}


def imported_modules(source: str, package: Sequence[str]) -> set[str]:
    """The modules that a file imports anywhere, in functions and for type checkers too, by their full names.

    Args:
        source: the file's text.
        package: the names of the package that it lies in, from which a relative import counts its dots.
    """
    names: set[str] = set()
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Import):
            names.update(alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            base = package[: len(package) - node.level + 1] if node.level else ()
            names.update(".".join([*base, *filter(None, [node.module]), alias.name]) for alias in node.names)
    return names


def imports_of(path: Path) -> set[str]:
    """What a file of the package imports."""
    return imported_modules(path.read_text(), ["step_ros", *path.parent.relative_to(PACKAGE).parts])


def room_of(module: str) -> str:
    """The room that a module of the house lies in; empty for what is not of the house, or in no room."""
    names = module.split(".")
    return names[1] if names[0] == "step_ros" and len(names) > 1 and names[1] in ROOMS else ""


def imports_by_module() -> dict[str, set[str]]:
    """Which modules of the house each of them imports, itself left out."""
    files = {}
    for path in PACKAGE.rglob("*.py"):
        names = ["step_ros", *path.relative_to(PACKAGE).with_suffix("").parts]
        files[".".join(names).removesuffix(".__init__")] = path

    def module_of(name: str) -> str:
        while name not in files:  # a class or function in it
            name = name.rpartition(".")[0]
        return name

    return {
        module: {module_of(name) for name in imports_of(path) if name.split(".")[0] == "step_ros"} - {module}
        for module, path in files.items()
    }


def assert_no_circle(graph: Mapping[str, set[str]]) -> None:
    try:
        TopologicalSorter(graph).prepare()
    except CycleError as error:
        pytest.fail("a circle of imports: " + ", which is imported by ".join(error.args[1]))


def test_every_room_is_on_the_map() -> None:
    assert {path.parent.name for path in PACKAGE.glob("*/__init__.py")} <= set(ROOMS)


@pytest.mark.parametrize("room", ROOMS)
def test_room_leans_only_on_its_own(room: str) -> None:
    for path in (PACKAGE / room).rglob("*.py"):
        modules = imports_of(path)
        outside = {room_of(module) for module in modules} - ROOMS[room] - {room, ""}
        assert not outside, f"{path}: {room}/ must not import {sorted(outside)}"
        foreign = {module.split(".")[0] for module in modules} & NOT_IN.get(room, {"rclpy"})
        assert not foreign, f"{path}: {room}/ must not import {sorted(foreign)}"


def test_an_import_for_type_checkers_alone_is_an_import() -> None:
    hidden = "if TYPE_CHECKING:\n    from ..perception.perceiver import Perceiver\n    import step_ros.probes"
    expected = {"step_ros.perception.perceiver.Perceiver", "step_ros.probes"}
    assert imported_modules(hidden, ["step_ros", "backbones"]) == expected


def test_no_room_hides_an_import_from_all_but_type_checkers() -> None:
    """Commands may: what is heavy is imported when they run, and annotations name it before.

    So may a package that lists what it offers on demand: at run time the names are there.
    """
    for path in set(PACKAGE.rglob("*.py")) - set((PACKAGE / "cli").rglob("*.py")):
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.If) and "TYPE_CHECKING" in ast.unparse(node.test):
                if [ast.unparse(line) for line in node.orelse] == ["__getattr__ = names_on_demand(__name__)"]:
                    continue
                assert "step_ros" not in ast.unparse(node), f"{path}: import it, or turn the direction round"


def test_what_lies_in_no_room_leans_on_none() -> None:
    for path in PACKAGE.glob("*.py"):
        assert not {room_of(module) for module in imports_of(path)} - {""}, path


def test_modules_do_not_import_each_other_in_a_circle() -> None:
    assert_no_circle(imports_by_module())


def test_rooms_do_not_lean_on_each_other_in_a_circle() -> None:
    rooms: dict[str, set[str]] = {room: set() for room in ROOMS}
    for module, imported in imports_by_module().items():
        if room := room_of(module):
            rooms[room] |= {room_of(each) for each in imported} - {room, ""}
    assert_no_circle(rooms)


def test_an_engine_takes_an_encoder_and_knows_no_backbone() -> None:
    # The room itself stands for what it exports, of which the backbone is one.
    forbidden = {"step_ros.backbones", "step_ros.backbones.backbone"}
    for module, imported in imports_by_module().items():
        if module.startswith(ENGINES):
            outside = {each for each in imported if room_of(each) not in ("backbones", "")}
            assert not imported & forbidden | outside, f"{module} must not import it"


def test_a_probe_knows_no_engine() -> None:
    for module, imported in imports_by_module().items():
        if room_of(module) == "probes":
            assert not [each for each in imported if each.startswith(ENGINES)], f"{module} must not import it"
