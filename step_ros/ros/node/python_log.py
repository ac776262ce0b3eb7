"""What the other rooms log with Python's logging, on the node's log."""

from __future__ import annotations

import logging

from rclpy.node import Node

from step_ros.bounded_text import MOST_TEXT, bounded


class NodeLogHandler(logging.Handler):
    """Hands records on to a node's logger.

    Args:
        node: whose log it is.
    """

    def __init__(self, node: Node) -> None:
        super().__init__(logging.INFO)
        self._logger = node.get_logger()
        self.last = ""
        """The newest message."""

    def emit(self, record: logging.LogRecord) -> None:
        """Write one record, in the node's own severity."""
        message = bounded(record.getMessage(), MOST_TEXT)
        self.last = message
        if record.levelno >= logging.ERROR:
            self._logger.error(message)
        elif record.levelno >= logging.WARNING:
            self._logger.warning(message)
        else:
            self._logger.info(message)


def log_to_node(node: Node) -> NodeLogHandler:
    """Send what step_ros logs to a node's log, from information on; remove the handler to end it."""
    package = logging.getLogger("step_ros")
    handler = NodeLogHandler(node)
    package.addHandler(handler)
    package.setLevel(logging.INFO)
    return handler


def stop_logging_to_node(handler: NodeLogHandler) -> None:
    """Undo `log_to_node`."""
    package = logging.getLogger("step_ros")
    package.removeHandler(handler)
    package.setLevel(logging.NOTSET)
