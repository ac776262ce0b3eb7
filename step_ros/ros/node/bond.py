"""The bond with a lifecycle manager, which is told that the node lives, and when it leaves."""

from __future__ import annotations

import os
import threading
import time
import uuid
from typing import Any

from rclpy.callback_groups import MutuallyExclusiveCallbackGroup
from rclpy.clock import Clock, ClockType
from rclpy.duration import Duration
from rclpy.node import Node
from rclpy.qos import QoSProfile

TOPIC = "bond"
"""Of all bonds in a namespace; each has the name of its node."""

HEARTBEAT_TIMEOUT = 4.0
"""Seconds without a heartbeat after which the other end is to take this one for dead."""

CONNECT_TIMEOUT = 10.0
"""Seconds that the other end may take to come; then there is no bond."""

RECEIVED_WITHIN = 0.2
"""Seconds that the other end may take to receive that the bond is broken."""


def status_message() -> Any:
    """The type ``bond/msg/Status``.

    Raises:
        RuntimeError: the package is not installed; the message says how to install it.
    """
    try:
        from bond.msg import Status
    except ImportError as error:
        raise RuntimeError(
            "bond_heartbeat_period asks for a bond with a lifecycle manager, and ROS's package bond is not "
            f"installed: sudo apt install ros-{os.environ.get('ROS_DISTRO', '<distribution>')}-bond, or set "
            "bond_heartbeat_period to 0.0 here and bond_timeout to 0.0 in the manager"
        ) from error
    return Status


class Bond:
    """The node's end of a bond, as Nav2's own nodes have it.

    Once a period it says that the node lives, until one of the two ends breaks the bond. That the other end
    falls silent is no reason: a node must not stop because its manager has died. The protocol is that of
    ROS's bondcpp and bondpy.

    Args:
        node: whose end it is; the bond has its name, without the namespace.
        heartbeat_period: seconds.

    Raises:
        RuntimeError: as `status_message`.
    """

    def __init__(self, node: Node, heartbeat_period: float) -> None:
        self._status = status_message()
        self._node = node
        self._period = heartbeat_period
        self._instance = str(uuid.uuid4())
        self._lock = threading.Lock()  # guards what follows, and the publisher against its removal
        self._lives = True
        self._formed = False
        self._connects_until = time.monotonic() + CONNECT_TIMEOUT
        group = MutuallyExclusiveCallbackGroup()
        self._publisher = node.create_publisher(self._status, TOPIC, QoSProfile(depth=5))
        self._subscription = node.create_subscription(
            self._status, TOPIC, self._on_status, QoSProfile(depth=100), callback_group=group
        )
        steady = Clock(clock_type=ClockType.STEADY_TIME)
        self._timer = node.create_timer(heartbeat_period, self._beat, clock=steady, callback_group=group)
        self._beat()

    def break_(self) -> None:
        """Tell the other end that this one leaves, wait a moment for it to know, and remove everything."""
        with self._lock:
            if self._lives:
                self._say(lives=False)
            self._lives = False
            self._publisher.wait_for_all_acked(Duration(seconds=RECEIVED_WITHIN))
            self._node.destroy_timer(self._timer)
            self._node.destroy_subscription(self._subscription)
            self._node.destroy_publisher(self._publisher)

    def _beat(self) -> None:
        with self._lock:
            if self._lives and not self._formed and time.monotonic() > self._connects_until:
                self._lives = False
                self._node.get_logger().warning(
                    f"no lifecycle manager has formed a bond within {CONNECT_TIMEOUT:.0f} s; none will hear "
                    "of this node's end"
                )
            if self._lives:
                self._say(lives=True)

    def _on_status(self, status: Any) -> None:
        if status.id != self._node.get_name() or status.instance_id == self._instance:
            return
        with self._lock:
            if status.active:
                self._formed = True
            elif self._lives:
                self._lives = False
                self._say(lives=False)  # the answer that the other end waits for

    def _say(self, *, lives: bool) -> None:
        status = self._status(
            id=self._node.get_name(),
            instance_id=self._instance,
            active=lives,
            heartbeat_timeout=HEARTBEAT_TIMEOUT,
            heartbeat_period=self._period,
        )
        status.header.stamp = self._node.get_clock().now().to_msg()
        self._publisher.publish(status)
