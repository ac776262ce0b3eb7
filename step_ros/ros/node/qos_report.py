"""Who does not hear whom, because their qualities of service do not fit, and what to do about it."""

from __future__ import annotations

import threading
from typing import Any

from rclpy.node import Node
from rclpy.qos import qos_policy_name_from_kind

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


class QosReport:
    """Collects what the middleware says of endpoints that do not fit, in words that tell what to set.

    Args:
        node: whose endpoints they are, and whose log gets the words.
    """

    def __init__(self, node: Node) -> None:
        self._logger = node.get_logger()
        self._lock = threading.Lock()
        self._words: dict[str, str] = {}
        self._count = 0

    def of_subscription(self, topic: str) -> SubscriptionEventCallbacks:
        """Callbacks for a subscription of the camera's."""
        return SubscriptionEventCallbacks(
            incompatible_qos=lambda info: self._note(topic, info, _OF_CAMERA, "a publisher")
        )

    def of_publisher(self, topic: str) -> PublisherEventCallbacks:
        """Callbacks for a publisher of this node's."""
        return PublisherEventCallbacks(
            incompatible_qos=lambda info: self._note(topic, info, _OF_SUBSCRIBER, "a subscriber")
        )

    @property
    def count(self) -> int:
        """How many endpoints did not fit, since the start."""
        with self._lock:
            return self._count

    @property
    def words(self) -> str:
        """What does not fit, by topic; empty if everything has."""
        with self._lock:
            return "; ".join(self._words.values())

    def _note(self, topic: str, info: Any, advice: dict[str, str], other: str) -> None:
        policy = qos_policy_name_from_kind(info.last_policy_kind)
        known = advice.get(policy, f"{other} and this node differ in {policy}: make the two agree")
        words = f"{topic}: incompatible QoS, {policy}: {known.format(topic=topic)}"
        with self._lock:
            self._words[f"{topic} {policy}"] = words
            self._count += max(1, info.total_count_change)
        self._logger.warning(words)
