# The node on a robot's computer, with no GPU. From the repository's root:
#
#   docker build --file docker/robot.Dockerfile --build-arg ROS_DISTRO=jazzy --tag step_ros:robot .
#   docker run --rm --network host --ipc host step_ros:robot \
#       ros2 launch step_ros perception.launch.py image:=/camera/image_raw
#
# The host's network is for discovery, its shared memory for large images from a camera's node outside.
ARG ROS_DISTRO=jazzy
FROM ros:${ROS_DISTRO}-ros-base

RUN apt-get update && apt-get install -y --no-install-recommends python3-venv && rm -rf /var/lib/apt/lists/*

WORKDIR /ros2_ws
COPY . src/step_ros
RUN apt-get update && rosdep update --rosdistro "$ROS_DISTRO" && \
    rosdep install --from-paths src --ignore-src -y --dependency-types=exec && \
    rm -rf /var/lib/apt/lists/*

# PyTorch's small build, for processors alone.
ARG PIP_EXTRA_INDEX_URL=https://download.pytorch.org/whl/cpu
SHELL ["/bin/bash", "-c"]
RUN source "/opt/ros/$ROS_DISTRO/setup.bash" && \
    PIP_NO_CACHE_DIR=1 src/step_ros/scripts/setup_environment.sh .venv && \
    source .venv/bin/activate && python -m colcon build

COPY docker/entrypoint.sh /entrypoint.sh
ENTRYPOINT ["/entrypoint.sh"]
CMD ["ros2", "launch", "step_ros", "perception.launch.py"]
