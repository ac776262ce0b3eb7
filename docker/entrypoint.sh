#!/usr/bin/env bash
# Runs a command with ROS, the workspace and its environment.
set -e
source "/opt/ros/$ROS_DISTRO/setup.bash"
source /ros2_ws/.venv/bin/activate
source /ros2_ws/install/setup.bash
exec "$@"
