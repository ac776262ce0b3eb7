"""The demo where ROS 2 is sourced: node, bag player and a planner that listens, and the scores at the end."""

from __future__ import annotations

from launch import LaunchContext, LaunchDescription
from launch.actions import DeclareLaunchArgument, OpaqueFunction
from launch.substitutions import LaunchConfiguration
from launch_ros.actions import Node

ARGUMENTS = [
    DeclareLaunchArgument(
        "bag",
        default_value="",
        description="A recording with images and truth topics. Empty: the bundled tabletop scene.",
    ),
    DeclareLaunchArgument(
        "models",
        default_value="",
        description="The heads, one for each task, separated by commas. Empty: the bundled ones.",
    ),
    DeclareLaunchArgument(
        "output_folder",
        default_value="demo_output",
        description="Where the run is written: its page, the annotated video, what was said and seen.",
    ),
]


def start_demo(context: LaunchContext) -> list[Node]:
    """Start the demo, which starts the node and the bag player itself."""

    def argument(name: str) -> str:
        return LaunchConfiguration(name).perform(context)

    arguments = ["--output", argument("output_folder")]
    if argument("bag"):
        arguments += ["--bag", argument("bag")]
    models = [model.strip() for model in argument("models").split(",") if model.strip()]
    if models:
        arguments += ["--models", *models]
    return [
        Node(
            package="step_ros",
            executable="demo",
            arguments=arguments,
            output="screen",  # and no emulate_tty: launch prefixes every line, which breaks a live table
        )
    ]


def generate_launch_description() -> LaunchDescription:
    """What `ros2 launch` asks for."""
    return LaunchDescription([*ARGUMENTS, OpaqueFunction(function=start_demo)])
