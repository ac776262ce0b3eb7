"""The programs of `ros2 run step_ros`: where there is no ROS 2, they say so in a line."""

from __future__ import annotations

import importlib
import sys

from step_ros.extras import MissingPackageError, ros_needed


def perception() -> int:
    """The node; returns the exit code."""
    return _run("perception", "step_ros.ros.node.process")


def bag_player() -> int:
    """The bag player; returns the exit code."""
    return _run("bag_player", "step_ros.ros.bag_player")


def demo() -> int:
    """The demo; returns the exit code."""
    return _run("demo", "step_ros.ros.demo")


def _run(program: str, module: str) -> int:
    try:
        with ros_needed():
            return int(importlib.import_module(module).main())
    except MissingPackageError as error:
        print(f"{program}: {error}", file=sys.stderr)
        return 1
