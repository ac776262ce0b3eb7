"""The image subscription: raw or compressed, as reliable as the camera, and aware of what it misses."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from rclpy.node import Node
from rclpy.qos import HistoryPolicy, QoSProfile, ReliabilityPolicy
from rclpy.subscription import Subscription
from sensor_msgs.msg import CompressedImage, Image

TRANSPORTS = {"raw": ("", Image), "compressed": ("/compressed", CompressedImage)}
"""What each image_transport adds to the topic `image`, and its message type."""

QUEUE_DEPTH = 10
"""Images that may wait for the executor, which takes them at once unless the machine stalls."""

_RELIABILITY = {"reliable": ReliabilityPolicy.RELIABLE, "best_effort": ReliabilityPolicy.BEST_EFFORT}
_SEQUENCE_UNSUPPORTED = 2**64 - 1


class ImageInput:
    """Receives images for a node.

    A best-effort subscription loses most large images, and a reliable one never hears a best-effort camera.
    So with the reliability ``auto`` the subscription is made anew whenever the publishers' offer changes,
    which `follow_publishers` looks for.

    Args:
        node: whose subscription it is.
        transport: a key of `TRANSPORTS`.
        reliability: ``auto``, ``reliable`` or ``best_effort``.
        on_image: called with every message; must not take long.
    """

    def __init__(self, node: Node, transport: str, reliability: str, on_image: Callable[[Any], None]) -> None:
        self._node = node
        suffix, self._type = TRANSPORTS[transport]
        # As image_transport has it, `image:=/camera` leads to /camera/compressed.
        self._topic = node.resolve_topic_name("image") + suffix
        self._asked = reliability
        self._on_image = on_image
        self._last_sequence: int | None = None
        self.lost = 0
        """Published, but not received: lost on the way, or replaced by a newer one before it was taken.

        As far as the middleware numbers messages, and while there is one publisher.
        """
        self._reliability = ReliabilityPolicy.BEST_EFFORT
        self._subscription = self._subscribe(self._best_reliability())

    @property
    def topic(self) -> str:
        """The name after remapping."""
        return self._subscription.topic_name

    @property
    def reliability(self) -> str:
        """What the subscription asks for now."""
        return "reliable" if self._reliability == ReliabilityPolicy.RELIABLE else "best_effort"

    @property
    def publishers(self) -> int:
        """How many publishers there are."""
        return self._node.count_publishers(self.topic)

    def follow_publishers(self) -> None:
        """Ask for what the publishers offer now."""
        wanted = self._best_reliability()
        if wanted == self._reliability:
            return
        self._node.destroy_subscription(self._subscription)
        self._subscription = self._subscribe(wanted)
        self._node.get_logger().info(f"{self.topic}: subscribed {self.reliability}, as published")

    def _best_reliability(self) -> ReliabilityPolicy:
        if self._asked != "auto":
            return _RELIABILITY[self._asked]
        publishers = self._node.get_publishers_info_by_topic(self._node.resolve_topic_name(self._topic))
        offered = [publisher.qos_profile.reliability for publisher in publishers]
        if not offered:
            return self._reliability  # until we know better
        if all(policy == ReliabilityPolicy.RELIABLE for policy in offered):
            return ReliabilityPolicy.RELIABLE
        return ReliabilityPolicy.BEST_EFFORT

    def _subscribe(self, reliability: ReliabilityPolicy) -> Subscription:
        self._reliability = reliability
        profile = QoSProfile(history=HistoryPolicy.KEEP_LAST, depth=QUEUE_DEPTH, reliability=reliability)
        return self._node.create_subscription(self._type, self._topic, self._receive, profile)

    def _receive(self, message: Any, info: dict[str, int]) -> None:
        self._note_sequence(info.get("publication_sequence_number", _SEQUENCE_UNSUPPORTED))
        self._on_image(message)

    def _note_sequence(self, sequence: int) -> None:
        """Count the publisher's messages between this one and the last."""
        if sequence == _SEQUENCE_UNSUPPORTED or self.publishers > 1:
            self._last_sequence = None
            return
        if self._last_sequence is not None and sequence > self._last_sequence:
            self.lost += sequence - self._last_sequence - 1
        self._last_sequence = sequence
