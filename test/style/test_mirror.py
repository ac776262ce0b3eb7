"""Where the tests of a module are: `test/` mirrors the package."""

from __future__ import annotations

from pathlib import Path

TEST = Path(__file__).resolve().parents[1]
PACKAGE = TEST.parent / "step_ros"

BESIDE_THE_ROOMS = {
    "behaviour": "the running node, and DDS below it, as cameras, planners and whoever manages it see it",
    "docs": "the documentation, and the commands in it",
    "fuzz": "broken files of every kind, as many as one asks for",
    "packaging": "what is installed with the package, or beside it",
    "style": "the code as text",
}
"""Folders, and what their tests show that is no module's alone."""


def test_what_lies_beside_the_rooms_is_listed_and_called_like_none() -> None:
    folders = {path.name for path in TEST.iterdir() if any(path.rglob("test_*.py"))}
    rooms = {path.parent.name for path in PACKAGE.glob("*/__init__.py")}
    assert folders - rooms == set(BESIDE_THE_ROOMS)


def test_every_other_file_is_called_like_the_module_that_it_tests() -> None:
    without_module = []
    for path in TEST.rglob("test_*.py"):
        place = path.relative_to(TEST)
        tested = PACKAGE / place.with_name(place.stem.removeprefix("test_"))
        is_module = tested.with_suffix(".py").exists() or (tested / "__init__.py").exists()
        if place.parts[0] not in BESIDE_THE_ROOMS and not is_module:
            without_module.append(str(place))
    assert not without_module, (
        "name these after the module that each tests, split those that test two, and put what shows several "
        f"modules together beside the rooms: {sorted(without_module)}"
    )
