"""config/fastdds_large_images.xml, on a real graph: raw images arrive that by default do not."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from pathlib import Path

import pytest

PROFILE = Path(__file__).resolve().parents[2] / "config" / "fastdds_large_images.xml"
IMAGES = 30

PUBLISH_IMAGES = f"""
import array, time
import rclpy
from rclpy.qos import qos_profile_sensor_data
from sensor_msgs.msg import Image

rclpy.init()
node = rclpy.create_node("camera")
publisher = node.create_publisher(Image, "image", qos_profile_sensor_data)
image = Image(height=480, width=640, encoding="rgb8", step=1920, data=array.array("B", bytes(480 * 1920)))
while publisher.get_subscription_count() == 0:
    time.sleep(0.01)
for _ in range({IMAGES}):
    publisher.publish(image)
    time.sleep(0.05)
# Until the reader has what is under way, the writer must stay.
time.sleep(1.0)
node.destroy_node()
rclpy.shutdown()
"""


def test_most_large_images_arrive_best_effort() -> None:
    rclpy = pytest.importorskip("rclpy")
    from rclpy.qos import qos_profile_sensor_data
    from sensor_msgs.msg import Image

    profile = {
        name: str(PROFILE) for name in ("FASTRTPS_DEFAULT_PROFILES_FILE", "FASTDDS_DEFAULT_PROFILES_FILE")
    }
    context = rclpy.Context()
    rclpy.init(context=context)
    node = rclpy.create_node("watcher", context=context)
    executor = rclpy.executors.SingleThreadedExecutor(context=context)
    executor.add_node(node)
    received = []
    node.create_subscription(
        Image, "image", lambda image: received.append(image.width), qos_profile_sensor_data
    )
    try:
        with subprocess.Popen([sys.executable, "-c", PUBLISH_IMAGES], env=os.environ | profile) as camera:
            give_up = time.monotonic() + 60
            while camera.poll() is None and time.monotonic() < give_up:
                executor.spin_once(timeout_sec=0.1)
            camera.kill()
    finally:
        node.destroy_node()
        context.try_shutdown()
    # With Fast DDS's defaults it is about one in ten.
    assert len(received) > IMAGES / 2, f"{len(received)} of {IMAGES} images arrived"
