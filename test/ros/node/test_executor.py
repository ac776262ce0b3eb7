"""Callbacks are begun once, beside each other, and what they raise is raised."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from typing import Any

import pytest
import rclpy
from rclpy.callback_groups import MutuallyExclusiveCallbackGroup
from rclpy.node import Node

from step_ros.ros.node.executor import CallbackExecutor


class Counting(CallbackExecutor):
    """Counts what it is given to run."""

    given = 0

    def wait_for_ready_callbacks(self, *args: Any, **kwargs: Any) -> Any:
        found = super().wait_for_ready_callbacks(*args, **kwargs)
        self.given += 1
        return found


@pytest.fixture
def node() -> Iterator[Node]:
    rclpy.init()
    node = Node("busy")
    yield node
    node.destroy_node()
    rclpy.try_shutdown()


def spin(node: Node, seconds: float) -> Counting:
    executor = Counting(3)
    executor.add_node(node)
    try:
        end = time.monotonic() + seconds
        while time.monotonic() < end:
            executor.spin_once(timeout_sec=0.1)
    finally:
        executor.remove_node(node)
        executor.shutdown(timeout_sec=5.0)
    return executor


def test_a_callback_is_begun_once_while_python_is_busy(node: Node) -> None:
    stop = threading.Event()
    busy = threading.Thread(target=lambda: [None for _ in iter(stop.is_set, True)])
    called: list[None] = []
    node.create_timer(0.01, lambda: called.append(None))
    busy.start()
    try:
        executor = spin(node, 1.0)
    finally:
        stop.set()
        busy.join()
    assert called and executor.given <= len(called) + 3


def test_a_long_callback_keeps_no_other_group_waiting(node: Node) -> None:
    called: list[None] = []
    begun = threading.Event()

    def long() -> None:
        begun.set()
        time.sleep(0.5)

    node.create_timer(0.01, long, callback_group=MutuallyExclusiveCallbackGroup())
    node.create_timer(
        0.01,
        lambda: called.append(None) if begun.is_set() else None,
        callback_group=MutuallyExclusiveCallbackGroup(),
    )
    spin(node, 0.4)
    assert called


def test_what_a_callback_raises_is_raised(node: Node) -> None:
    def fail() -> None:
        raise ValueError("no such frame")

    node.create_timer(0.01, fail)
    with pytest.raises(ValueError, match="no such frame"):
        spin(node, 5.0)
