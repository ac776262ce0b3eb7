"""Packages that not every installation has: which extra of step_ros brings them, or ROS 2."""

from __future__ import annotations

import importlib
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

_ROS = frozenset(
    """
    ament_index_python builtin_interfaces diagnostic_msgs geometry_msgs launch launch_ros lifecycle_msgs
    rcl_interfaces rclpy rosbag2_interfaces rosgraph_msgs sensor_msgs std_msgs std_srvs vision_msgs
    """.split()
)
"""Packages that come with ROS 2, and with nothing else."""


class MissingPackageError(RuntimeError):
    """A package is not installed, or broken; the message says in one line which, and what to install."""


def optional_package(name: str, *, extra: str) -> Any:
    """Import a package, or a module of one, that an extra of step_ros brings.

    Args:
        name: as it is imported.
        extra: of step_ros, as in ``pip install 'step_ros[onnx]'``.

    Raises:
        MissingPackageError: it is not installed, or broken.
    """
    try:
        return importlib.import_module(name)
    except ModuleNotFoundError as error:
        missing = (error.name or name).split(".")[0]
        raise MissingPackageError(f"{missing} is not installed; pip install 'step_ros[{extra}]'") from error
    except (ImportError, OSError, RuntimeError) as error:  # a shared library that does not load
        said = (str(error).strip().splitlines() or [type(error).__name__])[0].rstrip(".:")
        raise MissingPackageError(f"{name} is installed but does not load ({said})") from error


@contextmanager
def ros_needed() -> Iterator[None]:
    """What happens meanwhile needs ROS 2.

    Raises:
        MissingPackageError: it is not there.
    """
    try:
        yield
    except ImportError as error:
        name = (error.name or "").split(".")[0]
        if name not in _ROS:
            raise
        raise MissingPackageError(f"there is no {name}; source a ROS 2 installation first") from error
