"""The parameter `engine` offers what there is, and what the engines say is on the node's log."""

from __future__ import annotations

import logging

import rclpy
from rclpy.node import Node

from step_ros.backbones.engines import ENGINE_NAMES
from step_ros.ros.node.python_log import log_to_node, stop_logging_to_node
from step_ros.runs.parameters import PARAMETERS


def test_the_parameter_offers_every_engine() -> None:
    (engine,) = (spec for spec in PARAMETERS if spec.name == "engine")
    assert engine.choices == ENGINE_NAMES and engine.default == "auto"


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
