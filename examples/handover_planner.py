#!/usr/bin/env python3
"""A planner that acts on stable labels: makes way while a person reaches, hands over once they are done.

python examples/handover_planner.py --ros-args -p perception:=/perception -p task:=atomic_action
"""

from __future__ import annotations

from typing import Any

import rclpy
from rclpy.duration import Duration
from rclpy.executors import ExternalShutdownException
from rclpy.node import Node
from rclpy.qos import DurabilityPolicy, LivelinessPolicy, QoSProfile
from vision_msgs.msg import Classification

try:
    from rclpy.event_handler import SubscriptionEventCallbacks
except ImportError:  # ROS 2 Humble
    from rclpy.qos_event import SubscriptionEventCallbacks

# Stable labels are latched: whoever subscribes late is told the present one at once. A node that was killed
# cannot take its label back: the lease, which must be 2 s or more, tells of that.
STABLE = QoSProfile(
    depth=1,
    durability=DurabilityPolicy.TRANSIENT_LOCAL,
    liveliness=LivelinessPolicy.AUTOMATIC,
    liveliness_lease_duration=Duration(seconds=2),
)

# What the robot does while a person does something. Two actions that are each other played backwards ask for
# opposite reactions: mistaking one for the other would be worse than not reacting at all.
REACTIONS = {
    "pick_up": "hold the tray still",
    "put_down": "keep the place free",
    "open": "stay out of the drawer's way",
    "close": "wait until it is shut",
    "idle": "hand over the next part",
}


class HandoverPlanner(Node):
    """Changes what the robot does when the person's stable action changes."""

    def __init__(self) -> None:
        super().__init__("handover_planner")
        perception = self.declare_parameter("perception", "/perception").value
        task = self.declare_parameter("task", "atomic_action").value
        self.create_subscription(
            Classification,
            f"{perception}/{task}/stable",
            self._on_action,
            STABLE,
            event_callbacks=SubscriptionEventCallbacks(liveliness=self._on_liveliness),
        )
        self._reaction = ""
        self._react("wait: no action is known yet")

    def _on_action(self, message: Classification) -> None:
        """No result means that no label holds any more; an unknown label is as good as none."""
        if not message.results:
            self._react("wait: the person's action is not known")
            return
        action = message.results[0]
        reaction = REACTIONS.get(action.class_id, "wait: nothing is planned for this")
        # The stamp is the action's onset, so a plan can be timed from its beginning, not from now.
        onset = message.header.stamp.sec + message.header.stamp.nanosec / 1e9
        self._react(reaction, f"{action.class_id} since {onset:.2f} ({action.score:.0%})")

    def _on_liveliness(self, info: Any) -> None:
        """Whatever a dead node has said holds no longer; one that comes again says its label anew."""
        if info.not_alive_count_change > 0:
            self._react("wait: the perception node is gone")

    def _react(self, reaction: str, cause: str = "") -> None:
        """Here a real planner sends a goal; a goal that stands already is not sent again."""
        if reaction != self._reaction:
            self._reaction = reaction
            self.get_logger().info(f"{reaction}{f', because of {cause}' if cause else ''}")


def main() -> None:
    """Plan until stopped."""
    rclpy.init()
    try:
        rclpy.spin(HandoverPlanner())
    except (KeyboardInterrupt, ExternalShutdownException):
        pass
    finally:
        rclpy.try_shutdown()


if __name__ == "__main__":
    main()
