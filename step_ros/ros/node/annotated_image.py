"""The camera's image with what perception sees drawn over it, for people."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Any

import cv2
import numpy as np
from rclpy.node import Node
from rclpy.qos import qos_profile_sensor_data
from sensor_msgs.msg import CompressedImage

from step_ros.perception import Perception, draw_overlay
from step_ros.perception.attention_overlay import draw_attention
from step_ros.perception.window_strip import WindowStrip
from step_ros.ros.messages import jpeg_image
from step_ros.ros.node.intake import CameraFrame
from step_ros.ros.node.parameters import value_of

MakeAttentionMap = Callable[[], tuple[Any, tuple[float, float, float, float]] | None]
"""A map (rows, columns) in [0, 1] for the frame and the area that it covers; None if there is none."""


class AnnotatedImage:
    """Publishes ``annotated_image/compressed`` below a prefix, and draws only while somebody listens.

    Drawing has a thread of its own: nothing waits for it, and when it is late the newest frame wins.

    Args:
        node: whose topic it is.
        prefix: of its name: ``~/``, or ``~/front/`` for one of several cameras.
    """

    def __init__(self, node: Node, prefix: str) -> None:
        self._node = node
        self._last_ns = 0
        self._strip = WindowStrip()
        self._changed = threading.Condition()  # guards the three below
        self._next: tuple[CameraFrame, Perception, MakeAttentionMap | None] | None = None
        self._closed = False
        self._thread: threading.Thread | None = None
        self._publisher = node.create_publisher(
            CompressedImage, f"{prefix}annotated_image/compressed", qos_profile_sensor_data
        )

    def wanted(self, stamp_ns: int) -> bool:
        """Whether a frame of that stamp is to be drawn."""
        if not self._publisher.get_subscription_count():
            return False
        # A stamp before the last one is a recording that begins again.
        least_ns = 1e9 / value_of(self._node, "annotated_image.max_rate")
        return not 0 <= stamp_ns - self._last_ns < least_ns

    def publish(
        self, frame: CameraFrame, perception: Perception, attention: MakeAttentionMap | None = None
    ) -> None:
        """Hand over a frame to be drawn and sent; what has not been drawn before the next one never is.

        Args:
            frame: the camera's.
            perception: what to write on it.
            attention: gives a map for the frame, (rows, columns), and the area that it covers; called in the
                drawing thread. None lays nothing over it.
        """
        self._last_ns = frame.stamp_ns
        with self._changed:
            if self._thread is None:
                self._thread = threading.Thread(target=self._run, name="annotated_image", daemon=True)
                self._thread.start()
            self._next = (frame, perception, attention)
            self._changed.notify()

    def close(self) -> None:
        """Draw no more, and remove the topic."""
        with self._changed:
            self._closed = True
            self._changed.notify()
            thread = self._thread
        if thread is not None:
            thread.join()
        self._node.destroy_publisher(self._publisher)

    def _run(self) -> None:
        while True:
            with self._changed:
                self._changed.wait_for(lambda: self._next is not None or self._closed)
                if self._closed or self._next is None:
                    return
                frame, perception, attention = self._next
                self._next = None
            try:
                self._draw(frame, perception, attention)
            except Exception as error:  # a picture for people must not end anything
                if self._node.context.ok():
                    self._node.get_logger().warning(
                        f"the annotated image cannot be drawn: {type(error).__name__}: {error}",
                        throttle_duration_sec=10.0,
                    )

    def _draw(self, frame: CameraFrame, perception: Perception, attention: MakeAttentionMap | None) -> None:
        rgb = frame.rgb
        height, width = rgb.shape[:2]
        max_width = value_of(self._node, "annotated_image.max_width")
        if width > max_width:
            size = (max_width, max(1, round(height * max_width / width)))
            rgb = cv2.resize(rgb, size, interpolation=cv2.INTER_AREA).astype(np.uint8, copy=False)
        self._strip.add(frame.stamp_ns, rgb)
        thumbnails = self._strip.thumbnails(perception.window_start_ns, rgb.shape[1])
        if attention is not None:
            found = attention()
            rgb = rgb if found is None else draw_attention(rgb, *found)
        quality = value_of(self._node, "annotated_image.jpeg_quality")
        picture = draw_overlay(rgb, perception, thumbnails=thumbnails)
        self._publisher.publish(jpeg_image(picture, quality, frame.stamp_ns, frame.frame_id))
