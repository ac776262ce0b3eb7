"""A dashboard on a running node: `step-ros watch`."""

from __future__ import annotations

from typing import Annotated

import tyro


def watch(node: Annotated[str, tyro.conf.Positional] = "/perception", seconds: float = 0.0) -> None:
    """Watch a perception node on a terminal: labels, confidence, rates, latency, diagnostics.

    It needs ROS 2, and sees the nodes of its ROS domain on this machine or another; it works over ssh.

    Args:
        node: full name of the node.
        seconds: how long to watch; 0 is until Ctrl-C.
    """
    from step_ros.extras import ros_needed

    with ros_needed():
        from step_ros.ros.watch import watch as watch_node
    raise SystemExit(watch_node(node, seconds))
