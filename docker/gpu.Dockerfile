# The node on an NVIDIA GPU, with TensorRT. From the repository's root; the host needs NVIDIA's container toolkit:
#
#   docker build --file docker/gpu.Dockerfile --build-arg ROS_DISTRO=jazzy --tag step_ros:gpu .
#   docker run --rm --gpus all --network host --ipc host step_ros:gpu \
#       ros2 launch step_ros perception.launch.py image:=/camera/image_raw
#
# PyTorch's wheels bring CUDA with them: the image needs the driver of the host and nothing else.
ARG ROS_DISTRO=jazzy
FROM ros:${ROS_DISTRO}-ros-base

# A C compiler is for torch.compile, which makes its kernels on the spot.
RUN apt-get update && apt-get install -y --no-install-recommends build-essential python3-dev python3-venv && \
    rm -rf /var/lib/apt/lists/*

WORKDIR /ros2_ws
COPY . src/step_ros
RUN apt-get update && rosdep update --rosdistro "$ROS_DISTRO" && \
    rosdep install --from-paths src --ignore-src -y --dependency-types=exec && \
    rm -rf /var/lib/apt/lists/*

SHELL ["/bin/bash", "-c"]
RUN source "/opt/ros/$ROS_DISTRO/setup.bash" && \
    PIP_NO_CACHE_DIR=1 src/step_ros/scripts/setup_environment.sh .venv && \
    source .venv/bin/activate && \
    pip install --no-cache-dir --constraint .venv/constraints.txt 'torch-tensorrt>=2.6' && \
    python -m colcon build

ENV NVIDIA_VISIBLE_DEVICES=all NVIDIA_DRIVER_CAPABILITIES=compute,utility
COPY docker/entrypoint.sh /entrypoint.sh
ENTRYPOINT ["/entrypoint.sh"]
CMD ["ros2", "launch", "step_ros", "perception.launch.py"]
