"""Starts the node `perception` on a camera or several, with the settings that large images need."""

from __future__ import annotations

import os

from launch import LaunchContext, LaunchDescription
from launch.actions import DeclareLaunchArgument, OpaqueFunction
from launch_ros.actions import Node

from step_ros.ros.launch_arguments import ARGUMENTS, node_launch
from step_ros.ros.processes.environment import process_environment

RESPAWN_DELAY = 2.0
"""Seconds until a node that has ended is started again, if it is to be."""


def start_node(context: LaunchContext) -> list[Node]:
    """Start the node with what the arguments say."""
    asked = node_launch(context.launch_configurations)
    return [
        Node(
            package="step_ros",
            executable="perception",
            name=asked.name,
            namespace=asked.namespace,
            parameters=[asked.params_file, asked.parameters],
            remappings=asked.remappings,
            arguments=["--ros-args", "--log-level", asked.log_level],
            additional_env=process_environment(os.environ),
            respawn=asked.respawn,
            respawn_delay=RESPAWN_DELAY,
            output="screen",
            emulate_tty=True,
        )
    ]


def generate_launch_description() -> LaunchDescription:
    """What `ros2 launch` asks for."""
    declared = [
        DeclareLaunchArgument(
            each.name,
            default_value=each.default,
            description=each.description,
            choices=list(each.choices) or None,
        )
        for each in ARGUMENTS
    ]
    return LaunchDescription([*declared, OpaqueFunction(function=start_node)])
