"""What the package logs is on the node's log, for as long as the node is there."""

from __future__ import annotations

import logging

import rclpy
from rclpy.node import Node

from step_ros.ros.node.python_log import log_to_node, stop_logging_to_node


def test_what_the_package_logs_is_on_the_nodes_log(capfd) -> None:
    context = rclpy.Context()
    rclpy.init(context=context)
    node = Node("listener", context=context)
    handler = log_to_node(node)
    try:
        logging.getLogger("step_ros.backbones.engines.selection").warning("engine %s is not used", "x")
        logging.getLogger("step_ros.backbones.engines.progress").info("building")
    finally:
        stop_logging_to_node(handler)
        node.destroy_node()
        rclpy.shutdown(context=context)
    logging.getLogger("step_ros").info("afterwards")
    shown = "".join(capfd.readouterr())
    assert "[WARN]" in shown and "[listener]: engine x is not used" in shown
    assert "[listener]: building" in shown and "afterwards" not in shown
