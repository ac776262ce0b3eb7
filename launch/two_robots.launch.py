"""Two robots, each with a node `perception` in its namespace: an example of how to compose the launch file.

ros2 launch step_ros two_robots.launch.py robots:="[left, right]" models:=tabletop/object
"""

from __future__ import annotations

from launch import LaunchContext, LaunchDescription
from launch.actions import DeclareLaunchArgument, GroupAction, IncludeLaunchDescription, OpaqueFunction
from launch.launch_description_sources import PythonLaunchDescriptionSource
from launch.substitutions import LaunchConfiguration

from step_ros.shared_files import shared_folder

PERCEPTION = str(shared_folder() / "launch" / "perception.launch.py")

ARGUMENTS = [
    DeclareLaunchArgument(
        "robots",
        default_value="[robot1, robot2]",
        description="Names of the robots, separated by commas: the namespaces of their nodes and cameras.",
    ),
    DeclareLaunchArgument(
        "image",
        default_value="camera/image_raw",
        description="Each robot's image topic, below its namespace, because it begins with no slash.",
    ),
    DeclareLaunchArgument(
        "models",
        default_value="",
        description="The heads, one for each task, separated by commas; the same for all robots.",
    ),
]


def start_robots(context: LaunchContext) -> list[GroupAction]:
    """Start a node for each robot."""

    def argument(name: str) -> str:
        return LaunchConfiguration(name).perform(context)

    robots = [name.strip() for name in argument("robots").strip("[] ").split(",") if name.strip()]
    return [
        # A group each: what one is told must not reach the next.
        GroupAction(
            [
                IncludeLaunchDescription(
                    PythonLaunchDescriptionSource(PERCEPTION),
                    launch_arguments={
                        "namespace": robot,
                        "image": argument("image"),
                        "models": argument("models"),
                        "respawn": "true",
                    }.items(),
                )
            ]
        )
        for robot in robots
    ]


def generate_launch_description() -> LaunchDescription:
    """What `ros2 launch` asks for."""
    return LaunchDescription([*ARGUMENTS, OpaqueFunction(function=start_robots)])
