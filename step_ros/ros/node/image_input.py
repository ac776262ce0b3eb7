"""The image subscription: raw or compressed, as reliable as the camera, and aware of what it misses."""

from __future__ import annotations

import threading
from collections.abc import Callable, Collection
from typing import Any

from rclpy.callback_groups import CallbackGroup
from rclpy.node import Node
from rclpy.qos import HistoryPolicy, QoSPolicyKind, QoSProfile, ReliabilityPolicy
from rclpy.qos_overriding_options import QoSOverridingOptions
from rclpy.subscription import Subscription
from sensor_msgs.msg import CompressedImage, Image

from step_ros.bounded_text import bounded
from step_ros.ros.node.qos_report import QosReport
from step_ros.ros.node.rclpy_releases import with_message_info

TRANSPORTS = {"raw": ("", Image), "compressed": ("/compressed", CompressedImage)}
"""What each image_transport adds to the topic `image`, and its message type."""

QUEUE_DEPTH = 10
"""Images that may wait for the executor, which takes them at once unless the machine stalls."""

MOST_LOST = 1000
"""Numbers further apart than that come from two publishers, not from one whose messages were lost."""

_RELIABILITY = {"reliable": ReliabilityPolicy.RELIABLE, "best_effort": ReliabilityPolicy.BEST_EFFORT}
_SEQUENCE_UNSUPPORTED = 2**64 - 1


def reliability_for(offered: Collection[ReliabilityPolicy], present: ReliabilityPolicy) -> ReliabilityPolicy:
    """What to ask for, to hear every publisher and as reliably as that allows.

    A reliable subscription does not hear a best-effort publisher, but a best-effort one hears both: so one
    best-effort publisher among reliable ones decides.

    Args:
        offered: by each publisher there is.
        present: what is asked for now, and goes on to be while there is no publisher.
    """
    if not offered:
        return present
    if all(policy == ReliabilityPolicy.RELIABLE for policy in offered):
        return ReliabilityPolicy.RELIABLE
    return ReliabilityPolicy.BEST_EFFORT


def type_name(message_type: Any) -> str:
    """A message type as the graph names it: ``sensor_msgs/msg/Image``."""
    package, kind, _ = message_type.__module__.split(".")[:3]
    return f"{package}/{kind}/{message_type.__name__}"


class ImageInput:
    """Receives images for a node.

    A best-effort subscription loses most large images, and a reliable one never hears a best-effort camera.
    So with the reliability ``auto`` the subscription is made anew whenever the publishers' offer changes,
    which `follow_publishers` looks for.

    History, depth and durability can be overridden with ROS's ``qos_overrides`` parameters; so can the
    reliability, which then is no longer ``auto``.

    Args:
        node: whose subscription it is.
        transport: a key of `TRANSPORTS`.
        reliability: ``auto``, ``reliable`` or ``best_effort``.
        on_image: called with every message; must not take long.
        name: of the topic, before remapping and without what the transport adds.
        report: is told of publishers that do not fit.
        callback_group: of the subscription.
    """

    def __init__(
        self,
        node: Node,
        transport: str,
        reliability: str,
        on_image: Callable[[Any], None],
        *,
        name: str = "image",
        report: QosReport | None = None,
        callback_group: CallbackGroup | None = None,
    ) -> None:
        self._node = node
        self._transport = transport
        suffix, self._type = TRANSPORTS[transport]
        self._base = node.resolve_topic_name(name)
        # As image_transport has it, `image:=/camera` leads to /camera/compressed.
        self._topic = self._base + suffix
        self._asked = self._overridden(reliability)
        self._on_image = on_image
        self._report = report or QosReport(node)
        self._callback_group = callback_group
        self._lock = threading.Lock()  # guards the subscription against being made anew while it is removed
        self._closed = False
        self._last_sequence: int | None = None
        self._publishers: frozenset[bytes] = frozenset()
        self.lost = 0
        """Published, but not received: lost on the way, or replaced by a newer one before it was taken.

        As far as the middleware numbers messages and rclpy tells (not on Humble), and while there is one
        publisher.
        """
        self._reliability = ReliabilityPolicy.BEST_EFFORT
        self._subscription = self._subscribe(self._best_reliability())

    @property
    def topic(self) -> str:
        """The name after remapping."""
        return self._remapped

    @property
    def reliability(self) -> str:
        """What the subscription asks for at present."""
        return "reliable" if self._reliability == ReliabilityPolicy.RELIABLE else "best_effort"

    @property
    def publishers(self) -> int:
        """How many publishers of these messages there are."""
        return len(self._offers(self.topic, self._type))

    @property
    def other_publishers(self) -> str:
        """Who publishes images that cannot be received as it is set up, and what to set; empty if nobody."""
        wanted = type_name(self._type)
        types = {offer.topic_type for offer in self._offers(self.topic)} - {wanted}
        for transport, (suffix, message_type) in TRANSPORTS.items():
            if type_name(message_type) in types:
                base = self.topic.removesuffix(suffix)
                name = f"image{suffix}" if suffix and base == self.topic else "image"
                return (
                    f"{type_name(message_type)} is published there, and this node subscribes to {wanted}: "
                    f"set image_transport:={transport}, and remap `{name}` to {base}"
                )
        if types:
            found = bounded(", ".join(sorted(types)))
            return f"{found} is published there, which is no image: remap `image` to the camera's topic"
        suffix, _ = TRANSPORTS[self._transport]
        if suffix and self._offers(self._base, self._type):  # as in image:=/camera/compressed
            shorter = self._base.removesuffix(suffix)
            return f"there is no publisher, but {self._base} has one: remap `image` to {shorter}"
        for transport, (suffix, message_type) in TRANSPORTS.items():
            if transport != self._transport and self._offers(self._base + suffix, message_type):
                topic = self._base + suffix
                return f"there is no publisher, but {topic} has one: set image_transport:={transport}"
        return ""

    def _offers(self, topic: str, message_type: Any = None) -> list[Any]:
        """What the graph knows of a topic's publishers: of all, or of those of a type."""
        found = self._node.get_publishers_info_by_topic(self._node.resolve_topic_name(topic))
        if message_type is None:
            return list(found)
        return [offer for offer in found if offer.topic_type == type_name(message_type)]

    def follow_publishers(self) -> None:
        """Ask for what the publishers offer now."""
        with self._lock:
            wanted = self._best_reliability()
            if self._closed or wanted == self._reliability:
                return
            self._node.destroy_subscription(self._subscription)
            self._subscription = self._subscribe(wanted)
        self._node.get_logger().info(f"{self.topic}: subscribed {self.reliability}, as published")

    def close(self) -> None:
        """Remove the subscription."""
        with self._lock:
            self._closed = True
            self._node.destroy_subscription(self._subscription)

    def _overridden(self, reliability: str) -> str:
        """The reliability to ask for: what ``qos_overrides`` say, or else the given one."""
        name = f"qos_overrides.{self._topic}.subscription.reliability"
        if not self._node.has_parameter(name):
            self._node.declare_parameter(name, reliability)
        asked = self._node.get_parameter(name).value
        if asked not in ("auto", *_RELIABILITY):
            raise ValueError(f"{name} must be auto, reliable or best_effort, got {asked!r}")
        return asked

    def _best_reliability(self) -> ReliabilityPolicy:
        publishers = self._offers(self._topic, self._type)
        identities = frozenset(bytes(publisher.endpoint_gid) for publisher in publishers)
        if identities != self._publishers:  # each numbers its own messages
            self._publishers, self._last_sequence = identities, None
        if self._asked != "auto":
            return _RELIABILITY[self._asked]
        offered = [publisher.qos_profile.reliability for publisher in publishers]
        return reliability_for(offered, self._reliability)

    def _subscribe(self, reliability: ReliabilityPolicy) -> Subscription:
        self._reliability = reliability
        self._last_sequence = None
        profile = QoSProfile(history=HistoryPolicy.KEEP_LAST, depth=QUEUE_DEPTH, reliability=reliability)
        subscription = self._node.create_subscription(
            self._type,
            self._topic,
            with_message_info(self._receive),
            profile,
            callback_group=self._callback_group,
            event_callbacks=self._report.of_subscription(self._topic),
            qos_overriding_options=QoSOverridingOptions(
                (QoSPolicyKind.HISTORY, QoSPolicyKind.DEPTH, QoSPolicyKind.DURABILITY)
            ),
        )
        self._remapped = subscription.topic_name
        return subscription

    def _receive(self, message: Any, info: dict[str, int]) -> None:
        self._note_sequence(info.get("publication_sequence_number", _SEQUENCE_UNSUPPORTED))
        self._on_image(message)

    def _note_sequence(self, sequence: int) -> None:
        """Count the publisher's messages between this one and the last."""
        if sequence == _SEQUENCE_UNSUPPORTED or len(self._publishers) > 1:
            self._last_sequence = None
            return
        if self._last_sequence is not None and 0 < sequence - self._last_sequence <= MOST_LOST:
            self.lost += sequence - self._last_sequence - 1
        self._last_sequence = sequence
