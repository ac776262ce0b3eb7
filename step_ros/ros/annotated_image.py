"""The camera's image with what perception sees drawn over it, for people."""

from __future__ import annotations

import cv2
from rclpy.node import Node
from rclpy.qos import qos_profile_sensor_data
from sensor_msgs.msg import CompressedImage

from step_ros.perception import Perception, draw_overlay
from step_ros.ros.frame_intake import CameraFrame
from step_ros.ros.messages import jpeg_image
from step_ros.ros.parameters import value_of


class AnnotatedImage:
    """Publishes ``~/annotated_image/compressed``, and draws only while somebody listens."""

    def __init__(self, node: Node) -> None:
        self._node = node
        self._last_ns = 0
        self._publisher = node.create_publisher(
            CompressedImage, "~/annotated_image/compressed", qos_profile_sensor_data
        )

    def wanted(self, stamp_ns: int) -> bool:
        """Whether a frame of that stamp is to be drawn."""
        if not self._publisher.get_subscription_count():
            return False
        # A stamp before the last one is a recording that begins again.
        least_ns = 1e9 / value_of(self._node, "annotated_image.max_rate")
        return not 0 <= stamp_ns - self._last_ns < least_ns

    def publish(self, frame: CameraFrame, perception: Perception) -> None:
        """Draw and send."""
        self._last_ns = frame.stamp_ns
        rgb = frame.rgb
        height, width = rgb.shape[:2]
        max_width = value_of(self._node, "annotated_image.max_width")
        if width > max_width:
            size = (max_width, max(1, round(height * max_width / width)))
            rgb = cv2.resize(rgb, size, interpolation=cv2.INTER_AREA)
        quality = value_of(self._node, "annotated_image.jpeg_quality")
        picture = draw_overlay(rgb, perception)
        self._publisher.publish(jpeg_image(picture, quality, frame.stamp_ns, frame.frame_id))
