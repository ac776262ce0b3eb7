"""The node where there is no `ros2 launch`: `step-ros node`."""

from __future__ import annotations

from typing import Annotated

import tyro


def node(arguments: Annotated[tuple[str, ...], tyro.conf.Positional] = (), show_args: bool = False) -> None:
    """Start the perception node with the arguments of perception.launch.py, where there is no `ros2 launch`.

    As `ros2 launch step_ros perception.launch.py`, this command takes arguments NAME:=VALUE, sets what large
    images need in DDS, and runs until Ctrl-C. It needs ROS 2, from an installation or from wheels.

    Args:
        arguments: such as image:=/camera/image_raw.
        show_args: list all arguments instead.
    """
    import importlib
    import os
    import sys

    from step_ros.extras import ros_needed
    from step_ros.ros.launch_arguments import ARGUMENTS, LaunchArgumentError, node_launch, parse_arguments
    from step_ros.ros.processes.environment import process_environment

    if show_args:
        for argument in ARGUMENTS:
            choices = f" (one of {', '.join(filter(None, argument.choices))})" if argument.choices else ""
            print(f"{argument.name}:={argument.default}\n    {argument.description}{choices}")
        return
    asked = node_launch(parse_arguments(list(arguments)))
    if asked.respawn:
        raise LaunchArgumentError("respawn is for ros2 launch; here a service manager starts the node again")
    with ros_needed():
        importlib.import_module("rclpy")  # the process that this one becomes needs it
    environment = {**os.environ, **process_environment(os.environ)}
    command = [sys.executable, "-m", "step_ros.ros.node.process", *asked.command_line()]
    os.execve(sys.executable, command, environment)
