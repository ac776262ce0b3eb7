"""What the node publishes about each perception."""

from __future__ import annotations

from collections.abc import Mapping

from rclpy.node import Node
from rclpy.publisher import Publisher
from rclpy.qos import DurabilityPolicy, QoSProfile
from vision_msgs.msg import Classification, LabelInfo

from step_ros.perception import Perception
from step_ros.probes import HeadConfig
from step_ros.ros.annotated_image import AnnotatedImage
from step_ros.ros.frame_intake import CameraFrame
from step_ros.ros.messages import classification, label_info
from step_ros.ros.parameters import value_of
from step_ros.ros.stable_labels import FilterSettings, StableLabels

RELIABLE_DEPTH = 10
"""Labels that wait for a slow planner."""

LATCHED = QoSProfile(depth=1, durability=DurabilityPolicy.TRANSIENT_LOCAL)


class Outputs:
    """The node's topics; `publish` may be called from any thread.

    Args:
        node: whose topics they are.
        heads: configs by task.
    """

    def __init__(self, node: Node, heads: Mapping[str, HeadConfig]) -> None:
        self._node = node
        self._labels = self._publishers(heads, "~/{}", RELIABLE_DEPTH)
        self._stable = self._publishers(heads, "~/{}/stable", LATCHED)
        self._stable_labels = StableLabels()
        self._frame_id = ""
        self._annotated = AnnotatedImage(node)
        self._label_infos = []  # a latched message lives as long as its publisher
        for task, config in heads.items():
            publisher = node.create_publisher(LabelInfo, f"~/{task}/labels", LATCHED)
            now_ns = node.get_clock().now().nanoseconds
            publisher.publish(label_info(config.labels, config.rejection_threshold, now_ns))
            self._label_infos.append(publisher)

    def publish(self, perception: Perception, frame: CameraFrame | None) -> None:
        """Labels first, since planners wait for them and people can.

        Args:
            perception: what to publish.
            frame: its newest frame, if that is still held; without it nothing is drawn, and the frame_id is
                the one before.
        """
        if frame is not None:
            self._frame_id = frame.frame_id
        top_k = value_of(self._node, "top_k")
        for task, prediction in perception.predictions.items():
            results = prediction.top(top_k)
            self._labels[task].publish(classification(results, perception.stamp_ns, self._frame_id))
        settings = FilterSettings(
            on_seconds=value_of(self._node, "filter.on_seconds"),
            off_seconds=value_of(self._node, "filter.off_seconds"),
            threshold=value_of(self._node, "filter.threshold"),
        )
        for stable in self._stable_labels.update(perception, settings):
            results = [(stable.label, stable.confidence)] if stable.label else []
            self._stable[stable.task].publish(classification(results, stable.onset_ns, self._frame_id))
        if frame is not None and self._annotated.wanted(perception.stamp_ns):
            self._annotated.publish(frame, perception)

    def reset(self) -> None:
        """Take back every stable label."""
        now_ns = self._node.get_clock().now().nanoseconds
        for task in self._stable_labels.reset():
            self._stable[task].publish(classification([], now_ns, self._frame_id))

    def _publishers(
        self, tasks: Mapping[str, HeadConfig], name: str, qos: QoSProfile | int
    ) -> dict[str, Publisher]:
        return {task: self._node.create_publisher(Classification, name.format(task), qos) for task in tasks}
