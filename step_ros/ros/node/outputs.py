"""What the node publishes about one camera."""

from __future__ import annotations

import time
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from rclpy.duration import Duration
from rclpy.node import Node
from rclpy.publisher import Publisher
from rclpy.qos import DurabilityPolicy, LivelinessPolicy, QoSProfile
from rclpy.qos_overriding_options import QoSOverridingOptions
from std_msgs.msg import Header
from vision_msgs.msg import Classification, LabelInfo

from step_ros.perception import Direction, FilterSettings, Perceiver, Perception
from step_ros.perception.announcements import Announcement, Announcements
from step_ros.probes import HeadConfig
from step_ros.ros.messages import classification, label_info, stamp_of
from step_ros.ros.node.annotated_image import AnnotatedImage
from step_ros.ros.node.intake import CameraFrame
from step_ros.ros.node.live_attention import LiveAttention
from step_ros.ros.node.parameters import value_of
from step_ros.ros.node.qos_report import QosReport

RELIABLE_DEPTH = 10
"""Labels that wait for a slow planner."""

RECEIVED_WITHIN = 0.2
"""Seconds that a planner may take to receive a label."""

LEASE = 2.0
"""Seconds after which a planner that asks for it is told that the node is dead."""

ALIVE_TOPIC = "alive"
"""Says that the stable labels hold."""

ALIVE_WITHIN = 1.0
"""Seconds within which its next message comes while they do: the deadline that is offered."""


@dataclass(frozen=True)
class TaskTopics:
    """The publishers of one task."""

    config: HeadConfig
    """Of the head that answers it."""
    labels: Publisher
    """At every update."""
    stable: Publisher
    """When the filtered label changes; latched, and with a lease."""
    direction: Publisher | None
    """When a label's direction has been checked; None if no label has a partner."""
    info: Publisher
    """All labels; latched, and a latched message lives as long as its publisher."""

    def all(self) -> list[Publisher]:
        """Those that there are."""
        return [each for each in (self.labels, self.stable, self.direction, self.info) if each is not None]


class Outputs:
    """The topics of one camera; the caller lets one thread in at a time.

    Args:
        node: whose topics they are.
        prefix: of their names: ``~/``, or ``~/front/`` for one of several cameras.
        perceiver: whose answers are published.
        report: is told of subscribers that do not fit.
    """

    def __init__(self, node: Node, prefix: str, perceiver: Perceiver, report: QosReport) -> None:
        heads = {task: head.config for task, head in perceiver.heads.items()}
        self._node = node
        self._prefix = prefix
        self._report = report
        self._tasks: dict[str, TaskTopics] = {}
        self._announcements = Announcements(heads)
        self._frame_id = ""
        self._stamp_ns = 0
        self._alive = self._publisher(
            Header, ALIVE_TOPIC, QoSProfile(depth=1, deadline=Duration(seconds=ALIVE_WITHIN))
        )
        self._annotated = AnnotatedImage(node, prefix)
        self._attention = LiveAttention(node, perceiver)
        self.unconfirmed = 0
        """Directions that were checked and not confirmed."""
        self.confirmed = 0
        """Directions that were checked and confirmed."""
        self.set_heads(heads)

    def set_heads(self, heads: Mapping[str, HeadConfig]) -> None:
        """Offer the topics of these heads' tasks, and no others; a task that goes takes its label back."""
        self._announcements.set_heads(heads)
        for task in [task for task in self._tasks if task not in heads]:
            topics = self._tasks.pop(task)
            topics.stable.publish(classification([], self._now_ns(), self._frame_id))
            self._remove(topics)
        for task, config in heads.items():
            known = self._tasks.get(task)
            if known is None or (known.direction is None) != (not config.symmetric_pairs):
                if known:
                    self._remove(known)
                self._tasks[task] = self._offer(task, config)
            elif known.config != config:
                self._tasks[task] = TaskTopics(
                    config, known.labels, known.stable, known.direction, known.info
                )
            else:
                continue
            info = label_info(config.labels, config.rejection_threshold, self._now_ns())
            self._tasks[task].info.publish(info)

    def publish(self, perception: Perception, frame: CameraFrame | None) -> None:
        """Labels first, since planners wait for them and people can.

        Args:
            perception: what to publish.
            frame: its newest frame, if that is still held; without it nothing is drawn, and the frame_id is
                the one before.
        """
        if frame is not None:
            self._frame_id = frame.frame_id
        self._stamp_ns = perception.stamp_ns
        settings = FilterSettings(
            on_seconds=value_of(self._node, "filter.on_seconds"),
            off_seconds=value_of(self._node, "filter.off_seconds"),
            threshold=value_of(self._node, "filter.threshold"),
        )
        top_k = value_of(self._node, "top_k")
        self._send(self._announcements.of(perception, top_k=top_k, settings=settings))
        if frame is not None and self._annotated.wanted(perception.stamp_ns):
            self._annotated.publish(frame, perception, self._attention.of_now(frame.rgb.shape))

    def publish_directions(self, directions: Sequence[Direction], stamp_ns: int) -> None:
        """What the window read backwards says of the labels of that stamp."""
        for direction in directions:
            if direction.confirmed:
                self.confirmed += 1
            else:
                self.unconfirmed += 1
            topics = self._tasks.get(direction.task)
            if topics is not None and topics.direction is not None:
                topics.direction.publish(classification(direction.results, stamp_ns, self._frame_id))

    def tell_alive(self) -> None:
        """Say that the stable labels hold, as of the newest frame that labels were published of."""
        self._alive.publish(Header(stamp=stamp_of(self._stamp_ns), frame_id=self._frame_id))

    def withdraw(self) -> None:
        """Take every stable label back: nothing is to be believed from here on."""
        self._send(self._announcements.withdraw(self._now_ns()))

    def wait_until_received(self, until: float) -> None:
        """Wait for planners to have all stable labels, at most until then by the monotonic clock."""
        for topics in list(self._tasks.values()):
            left = max(0.0, until - time.monotonic())
            topics.stable.wait_for_all_acked(Duration(seconds=left))

    def close(self) -> None:
        """Remove all topics."""
        self._annotated.close()
        self._node.destroy_publisher(self._alive)
        for topics in self._tasks.values():
            self._remove(topics)
        self._tasks.clear()

    def _send(self, announcements: Iterable[Announcement]) -> None:
        for announcement in announcements:
            topics = self._tasks.get(announcement.task)
            if topics is not None:
                publisher = topics.stable if announcement.stable else topics.labels
                publisher.publish(classification(announcement.results, announcement.stamp_ns, self._frame_id))

    def _remove(self, topics: TaskTopics) -> None:
        """Remove a task's topics, when planners have the last stable label: it goes with its publisher."""
        if self._node.context.ok():
            topics.stable.wait_for_all_acked(Duration(seconds=RECEIVED_WITHIN))
        for publisher in topics.all():
            self._node.destroy_publisher(publisher)

    def _now_ns(self) -> int:
        return self._node.get_clock().now().nanoseconds

    def _offer(self, task: str, config: HeadConfig) -> TaskTopics:
        every = QoSProfile(depth=RELIABLE_DEPTH)
        latched = QoSProfile(depth=1, durability=DurabilityPolicy.TRANSIENT_LOCAL)
        # The middleware keeps it while the process lives; who asks for no lease matches all the same.
        leased = QoSProfile(
            depth=1,
            durability=DurabilityPolicy.TRANSIENT_LOCAL,
            liveliness=LivelinessPolicy.AUTOMATIC,
            liveliness_lease_duration=Duration(seconds=LEASE),
        )
        return TaskTopics(
            config,
            labels=self._publisher(Classification, task, every),
            stable=self._publisher(Classification, f"{task}/stable", leased),
            direction=self._publisher(Classification, f"{task}/direction", every)
            if config.symmetric_pairs
            else None,
            info=self._publisher(LabelInfo, f"{task}/labels", latched),
        )

    def _publisher(self, message_type: Any, name: str, profile: QoSProfile) -> Publisher:
        topic = self._node.resolve_topic_name(self._prefix + name)
        return self._node.create_publisher(
            message_type,
            topic,
            profile,
            event_callbacks=self._report.of_publisher(topic),
            qos_overriding_options=QoSOverridingOptions.with_default_policies(),
        )
