"""Starts the node `perception` on a camera, with the settings that large images need."""

from __future__ import annotations

import os

from launch import LaunchContext, LaunchDescription
from launch.actions import DeclareLaunchArgument, OpaqueFunction
from launch.substitutions import LaunchConfiguration
from launch_ros.actions import Node

from step_ros.ros.processes.environment import process_environment
from step_ros.shared_files import shared_folder

DEFAULT_PARAMETERS = str(shared_folder() / "config" / "perception.yaml")

ARGUMENTS = [
    DeclareLaunchArgument(
        "image",
        default_value="/camera/image_raw",
        description="The camera's image topic; for compressed images the part before '/compressed'.",
    ),
    DeclareLaunchArgument(
        "image_transport",
        default_value="",
        choices=["", "raw", "compressed"],
        description="Whether to subscribe raw or compressed images. Empty: as params_file says.",
    ),
    DeclareLaunchArgument(
        "models",
        default_value="",
        description="The heads, one for each task, separated by commas: folders, bundled heads such as "
        "tabletop/object, or names on the Hugging Face hub. Empty: as params_file says.",
    ),
    DeclareLaunchArgument(
        "cameras",
        default_value="",
        description="Names of several cameras, separated by commas, each with its images on <name>/image. "
        "Empty: as params_file says, by default the one camera on image.",
    ),
    DeclareLaunchArgument(
        "autostart",
        default_value="true",
        choices=["true", "false"],
        description="Whether the node configures and activates itself; if not, a lifecycle manager has to.",
    ),
    DeclareLaunchArgument(
        "params_file",
        default_value=DEFAULT_PARAMETERS,
        description="YAML file with the node's parameters; the default one documents them all.",
    ),
    DeclareLaunchArgument(
        "namespace",
        default_value="",
        description="Namespace of the node, for example the camera's name: labels are on "
        "/<namespace>/perception/<task>.",
    ),
    DeclareLaunchArgument(
        "use_sim_time",
        default_value="false",
        choices=["true", "false"],
        description="Take the time from /clock: for simulations, and for recordings with their own stamps.",
    ),
    DeclareLaunchArgument(
        "log_level",
        default_value="info",
        choices=["debug", "info", "warn", "error", "fatal"],
        description="Least severity of the node's log messages.",
    ),
]


def start_node(context: LaunchContext) -> list[Node]:
    """Start the node with what the arguments say; empty ones leave the parameter file its say."""

    def argument(name: str) -> str:
        return LaunchConfiguration(name).perform(context)

    parameters: dict[str, object] = {name: argument(name) == "true" for name in ("use_sim_time", "autostart")}
    if argument("image_transport"):
        parameters["image_transport"] = argument("image_transport")
    for name in ("models", "cameras"):
        names = [each.strip() for each in argument(name).strip("[] ").split(",") if each.strip()]
        if names:
            parameters[name] = names
    return [
        Node(
            package="step_ros",
            executable="perception",
            namespace=argument("namespace"),
            parameters=[argument("params_file"), parameters],
            remappings=[("image", argument("image"))],
            arguments=["--ros-args", "--log-level", argument("log_level")],
            additional_env=process_environment(os.environ),
            output="screen",
            emulate_tty=True,
        )
    ]


def generate_launch_description() -> LaunchDescription:
    """What `ros2 launch` asks for."""
    return LaunchDescription([*ARGUMENTS, OpaqueFunction(function=start_node)])
