"""Listens to everything that a perception node says, whatever its tasks are called."""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from diagnostic_msgs.msg import DiagnosticArray, DiagnosticStatus
from rclpy.node import Node
from rclpy.qos import DurabilityPolicy, QoSProfile
from vision_msgs.msg import Classification, LabelInfo

from step_ros.ros.messages import nanoseconds_of
from step_ros.scores.updates import Update, latencies_ms, rate_hz

HISTORY = 120
"""Updates of each task that are kept."""

LABELS_TYPE = "vision_msgs/msg/LabelInfo"

_LATCHED = QoSProfile(depth=1, durability=DurabilityPolicy.TRANSIENT_LOCAL)
_RELIABLE = QoSProfile(depth=100)


@dataclass
class WatchedTask:
    """What is known of one task."""

    name: str
    """Below the node: the task, or camera/task."""
    labels: list[str] = field(default_factory=list)
    """All that it may say."""
    stable: str = ""
    """The filtered label; empty while there is none."""
    updates: deque[Update] = field(default_factory=lambda: deque(maxlen=HISTORY))
    """The newest, in the order of arrival."""

    @property
    def rate(self) -> float:
        """Updates a second over the newest twenty; NaN of fewer than two."""
        return rate_hz([update.received_ns for update in list(self.updates)[-20:]])

    def latency_ms(self, percent: float) -> float:
        """From stamp to receipt, over what is kept; NaN of none."""
        return float(np.percentile(latencies_ms(self.updates) or [np.nan], percent))


class WatchClient(Node):
    """Subscribes the topics of a perception node's tasks as they appear.

    Args:
        perception: full name of the node.
    """

    def __init__(self, perception: str) -> None:
        super().__init__("step_ros_watch", start_parameter_services=False)
        self.perception = perception.rstrip("/")
        self.tasks: dict[str, WatchedTask] = {}
        """By name, in alphabetical order."""
        self.status: DiagnosticStatus | None = None
        """The node's newest diagnostics."""
        self.status_received_ns = 0
        """When they came."""
        self.create_subscription(DiagnosticArray, "/diagnostics", self._on_diagnostics, _RELIABLE)
        self.create_timer(0.5, self.look_for_tasks)

    @property
    def values(self) -> dict[str, str]:
        """The newest diagnostics' values."""
        return {pair.key: pair.value for pair in self.status.values} if self.status else {}

    def look_for_tasks(self) -> None:
        """Subscribe whatever tasks have come since the last time."""
        for topic, types in self.get_topic_names_and_types():
            inside = topic.startswith(f"{self.perception}/") and topic.endswith("/labels")
            if inside and LABELS_TYPE in types:
                name = topic.removeprefix(f"{self.perception}/").removesuffix("/labels")
                if name not in self.tasks:
                    self._listen(name)

    def other_nodes(self) -> Sequence[str]:
        """Names of perception nodes that are not the watched one, for who has mistyped a name."""
        found = {
            topic.removesuffix("/labels").rpartition("/")[0]
            for topic, types in self.get_topic_names_and_types()
            if topic.endswith("/labels") and LABELS_TYPE in types
        }
        return sorted(found - {self.perception})

    def _listen(self, name: str) -> None:
        task = WatchedTask(name)
        self.tasks = dict(sorted({**self.tasks, name: task}.items()))
        topic = f"{self.perception}/{name}"

        def on_update(message: Any) -> None:
            if message.results:
                best = message.results[0]
                now_ns = self.get_clock().now().nanoseconds
                stamp_ns = nanoseconds_of(message.header.stamp)
                task.updates.append(Update(name, best.class_id, best.score, stamp_ns, now_ns))

        def on_stable(message: Any) -> None:
            task.stable = message.results[0].class_id if message.results else ""

        def on_labels(message: Any) -> None:
            task.labels = [entry.class_name for entry in message.class_map]

        self.create_subscription(Classification, topic, on_update, _RELIABLE)
        self.create_subscription(Classification, f"{topic}/stable", on_stable, _LATCHED)
        self.create_subscription(LabelInfo, f"{topic}/labels", on_labels, _LATCHED)

    def _on_diagnostics(self, message: DiagnosticArray) -> None:
        mine = self.perception.strip("/") + ":"
        for status in message.status:
            if status.name.startswith(mine):
                self.status = status
                self.status_received_ns = self.get_clock().now().nanoseconds
