"""package.xml is what rosdep, colcon and the ROS build farm go by."""

from __future__ import annotations

import ast
import re
import sys
from pathlib import Path

import pytest

import step_ros

ROOT = Path(__file__).resolve().parents[2]


def imported_packages(folder: Path) -> set[str]:
    """The top-level names that the Python files below a folder import."""
    names: set[str] = set()
    for path in folder.rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.Import):
                names.update(alias.name.split(".")[0] for alias in node.names)
            elif isinstance(node, ast.ImportFrom) and node.level == 0 and node.module:
                names.add(node.module.split(".")[0])
    return names


def test_is_valid() -> None:
    parser = pytest.importorskip("catkin_pkg.package")
    warnings: list[str] = []
    package = parser.parse_package(str(ROOT), warnings=warnings)
    package.validate(warnings=warnings)
    assert not warnings
    assert package.get_build_type() == "ament_python"


def test_version_is_that_of_the_python_package() -> None:
    stated = re.search(r"<version>(.+?)</version>", (ROOT / "package.xml").read_text())
    assert stated and stated[1] == step_ros.__version__


def test_names_every_ros_package_that_the_code_imports() -> None:
    parser = pytest.importorskip("catkin_pkg.package")
    declared = {dependency.name for dependency in parser.parse_package(str(ROOT)).exec_depends}
    imported = imported_packages(ROOT / "step_ros" / "ros") | imported_packages(ROOT / "launch")
    # What setup.py asks of pip, and the names that rosdep knows numpy and OpenCV by.
    from_pip = {"cv2", "numpy", "rich", "rosbags", "torch"}
    undeclared = imported - declared - from_pip - {"step_ros"} - set(sys.stdlib_module_names)
    assert not undeclared, f"package.xml lacks <exec_depend> for {sorted(undeclared)}"
