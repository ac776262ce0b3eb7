"""What differs between the releases of rclpy that the node runs on, from Humble's 3.3 on."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from rclpy.exceptions import InvalidHandle
from rclpy.subscription import Subscription

try:
    from rclpy.event_handler import PublisherEventCallbacks, SubscriptionEventCallbacks
except ImportError:  # Humble
    from rclpy.qos_event import PublisherEventCallbacks, SubscriptionEventCallbacks

__all__ = [
    "HAS_MESSAGE_INFO",
    "REMOVED_WHILE_TAKEN",
    "PublisherEventCallbacks",
    "SubscriptionEventCallbacks",
    "with_message_info",
]

HAS_MESSAGE_INFO = hasattr(Subscription, "CallbackType")
"""Whether a subscription's callback may ask for what the middleware knows of a message; not on Humble."""

REMOVED_WHILE_TAKEN: tuple[type[Exception], ...] = () if HAS_MESSAGE_INFO else (InvalidHandle,)
"""What a task raises whose subscription was removed just before its message was taken; no fault of anybody's.

Later releases pass over such a task themselves.
"""


def with_message_info(callback: Callable[[Any, dict[str, int]], None]) -> Callable[..., None]:
    """A callback for `create_subscription` that is called as this release calls one.

    rclpy counts the callback's parameters. Two are given the message and its information; Humble knows
    callbacks with the message alone, and has no image heard by any other.

    Args:
        callback: called with each message and rclpy's ``MessageInfo``, which is empty on Humble: neither the
            middleware's times nor its numbers are to be had there.
    """
    if HAS_MESSAGE_INFO:
        return callback
    return lambda message: callback(message, {})
