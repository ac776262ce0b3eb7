"""Who does not hear whom, because their qualities of service do not fit, and what to do about it."""

from __future__ import annotations

import threading
from typing import Any

from rclpy.node import Node
from rclpy.qos import QoSCompatibility, QoSProfile, qos_check_compatible, qos_policy_name_from_kind

from step_ros.ros.node.rclpy_releases import PublisherEventCallbacks, SubscriptionEventCallbacks

_OF_CAMERA = {
    "RELIABILITY": "the camera offers best_effort and this node asks for reliable: set "
    "image_reliability:=auto or best_effort, or make the camera reliable",
    "DURABILITY": "this node asks for more durability than the camera offers: leave "
    "qos_overrides.{topic}.subscription.durability at volatile",
    "DEADLINE": "this node asks for a shorter deadline than the camera offers: leave it out of qos_overrides",
}
_OF_SUBSCRIBER = {
    "RELIABILITY": "a subscriber asks for reliable messages, and this topic is best_effort: subscribe "
    "best_effort, or set qos_overrides.{topic}.publisher.reliability:=reliable",
    "DURABILITY": "a subscriber asks for transient_local messages, and this topic does not keep any: "
    "subscribe volatile (of labels, the topic ending in /stable is kept)",
    "DEADLINE": "a subscriber asks for a deadline, and labels come when they come: subscribe without "
    "(the topic ending in /alive offers 1 s)",
    "LIVELINESS": "a subscriber asks for a shorter lease than this topic offers, or for more than automatic "
    "liveliness: subscribe without (topics ending in /stable offer 2 s)",
}

_PARTS = {
    "RELIABILITY": ("reliability",),
    "DURABILITY": ("durability",),
    "DEADLINE": ("deadline",),
    "LIVELINESS": ("liveliness", "liveliness_lease_duration"),
}
"""What a policy is called in a profile."""


class QosReport:
    """Collects what the middleware says of one camera's endpoints that do not fit, for as long as it is so.

    The middleware tells when a mismatch begins, and never when it ends: whether it still is so, is looked up
    in the graph.

    Args:
        node: whose endpoints they are, and whose log gets the words.
    """

    def __init__(self, node: Node) -> None:
        self._node = node
        self._lock = threading.Lock()
        self._images: dict[tuple[str, str], str] = {}
        self._labels: dict[tuple[str, str], str] = {}
        self._count = 0

    def of_subscription(self, topic: str) -> SubscriptionEventCallbacks:
        """Callbacks for a subscription of images."""
        return SubscriptionEventCallbacks(
            incompatible_qos=lambda info: self._note(self._images, topic, info, _OF_CAMERA, "a publisher")
        )

    def of_publisher(self, topic: str) -> PublisherEventCallbacks:
        """Callbacks for a publisher of labels and the like."""
        return PublisherEventCallbacks(
            incompatible_qos=lambda info: self._note(
                self._labels, topic, info, _OF_SUBSCRIBER, "a subscriber"
            )
        )

    @property
    def count(self) -> int:
        """How many endpoints did not fit, since the start."""
        with self._lock:
            return self._count

    def of_images(self) -> str:
        """Which cameras are not heard now; empty if all are."""
        return self._present(self._images)

    def of_labels(self) -> str:
        """Which subscribers do not hear now; empty if all do."""
        return self._present(self._labels)

    def _note(
        self, side: dict[tuple[str, str], str], topic: str, info: Any, advice: dict[str, str], other: str
    ) -> None:
        policy = qos_policy_name_from_kind(info.last_policy_kind)
        known = advice.get(policy, f"{other} and this node differ in {policy}: make the two agree")
        words = f"{topic}: incompatible QoS, {policy}: {known.format(topic=topic)}"
        with self._lock:
            side[topic, policy] = words
            self._count += max(1, info.total_count_change)
        self._node.get_logger().warning(words)

    def _present(self, side: dict[tuple[str, str], str]) -> str:
        with self._lock:
            noted = list(side.items())
        return "; ".join(words for (topic, policy), words in noted if self._differ(topic, policy))

    def _differ(self, topic: str, policy: str) -> bool:
        """Whether, by the graph, an endpoint of this node and one of another do not fit in a policy now."""
        publishers = self._node.get_publishers_info_by_topic(topic)
        subscribers = self._node.get_subscriptions_info_by_topic(topic)
        return any(
            self._is_mine(publisher) or self._is_mine(subscriber)
            for publisher in publishers
            for subscriber in subscribers
            if publisher.topic_type == subscriber.topic_type
            and not _fit(publisher.qos_profile, subscriber.qos_profile, policy)
        )

    def _is_mine(self, endpoint: Any) -> bool:
        name = (endpoint.node_name, endpoint.node_namespace)
        return name == (self._node.get_name(), self._node.get_namespace())


def _fit(offered: QoSProfile, asked: QoSProfile, policy: str) -> bool:
    """Whether two profiles fit, in one policy."""

    def alone(profile: QoSProfile) -> QoSProfile:
        parts = _PARTS.get(policy)
        return QoSProfile(depth=1, **{part: getattr(profile, part) for part in parts}) if parts else profile

    compatibility, _ = qos_check_compatible(alone(offered), alone(asked))
    return compatibility != QoSCompatibility.ERROR
