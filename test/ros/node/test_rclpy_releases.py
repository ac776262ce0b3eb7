"""The node on releases of rclpy that call things differently, each by its own convention."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from rclpy.subscription import Subscription
from vision_msgs.msg import Classification

from step_ros.ros.node import rclpy_releases
from step_ros.ros.node.rclpy_releases import HAS_MESSAGE_INFO, with_message_info

HUMBLE = """
# What rclpy 3.3 does otherwise than the release below it, as far as a node can tell.
import sys
import rclpy.event_handler, rclpy.executors, rclpy.lifecycle, rclpy.node  # all that know the later names
from rclpy.subscription import Subscription

# The callback is an attribute, and nobody counts its parameters.
del Subscription.CallbackType, Subscription.callback

def take(self, subscription):
    with subscription.handle:  # raises InvalidHandle if the subscription has been removed
        found = subscription.handle.take_message(subscription.msg_type, subscription.raw)
    if found is None:
        return None
    async def execute():
        await rclpy.executors.await_or_execute(subscription.callback, found[0])
    return execute

rclpy.executors.Executor._take_subscription = take
sys.modules["rclpy.qos_event"] = rclpy.event_handler  # its name there
sys.modules["rclpy.event_handler"] = None
"""

RUN_NODE = """
from step_ros.ros.node.process import main
sys.exit(main())
"""

later_than_humble = pytest.mark.skipif(not HAS_MESSAGE_INFO, reason="this is Humble's rclpy itself")

REMOVE_WHILE_TAKEN = """
import rclpy
from std_msgs.msg import Header
from step_ros.ros.node.executor import CallbackExecutor

class Removing(CallbackExecutor):
    def wait_for_ready_callbacks(self, *args, **kwargs):
        task, entity, node = found = super().wait_for_ready_callbacks(*args, **kwargs)
        if entity is subscription:
            node.destroy_subscription(subscription)
            removed.append(task)
        return found

rclpy.init()
node = rclpy.create_node("removing")
removed = []
subscription = node.create_subscription(Header, "~/header", print, 1)
publisher = node.create_publisher(Header, "~/header", 1)
executor = Removing(2)
executor.add_node(node)
while not removed:
    publisher.publish(Header())
    executor.spin_once(timeout_sec=0.1)
for _ in range(3):
    executor.spin_once(timeout_sec=0.1)
print("went on")
"""


@pytest.fixture
def humble(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Any:
    """Makes a module, by name, that runs a script on an rclpy which calls things as Humble's does."""
    monkeypatch.setenv("PYTHONPATH", str(tmp_path), prepend=":")

    def make(name: str, script: str) -> str:
        (tmp_path / f"{name}.py").write_text(HUMBLE + script)
        return name

    return make


@later_than_humble
def test_on_humble_images_are_processed(graph: Any, humble: Any) -> None:
    graph.film()
    labels = graph.client.listen(Classification, "perception/object")
    node = graph.start_node(module=humble("on_humble", RUN_NODE))
    graph.wait_for(lambda: len(labels) > 3 or not node.running, "labels")
    assert node.running, node.output
    values = graph.client.values
    assert values["callback_errors"] == "0" and "callback failed" not in node.output
    assert values["lost_before_receipt"] == "0"


@later_than_humble
def test_on_humble_a_subscription_removed_before_its_message_is_taken_is_no_error(
    graph: Any, humble: Any
) -> None:
    process = graph.start(humble("removing", REMOVE_WHILE_TAKEN))
    assert process.wait() == 0, process.output
    assert "went on" in process.output


class Later(Subscription):
    """rclpy's own subscription, after Humble: it counts what its callback takes."""

    def __init__(self, callback: Any) -> None:
        self.callback = callback

    def call(self, message: object, info: dict[str, int]) -> None:
        both = self._callback_type is Subscription.CallbackType.WithMessageInfo
        self.callback(*((message, info) if both else (message,)))


class Humble:
    """Calls with the message alone, whatever its callback takes."""

    def __init__(self, callback: Any) -> None:
        self.callback = callback

    def call(self, message: object, info: dict[str, int]) -> None:
        self.callback(message)


@pytest.mark.parametrize(
    ("subscription", "has_info", "expected"),
    [
        pytest.param(Later, True, {"publication_sequence_number": 7}, id="later", marks=later_than_humble),
        pytest.param(Humble, False, {}, id="Humble"),
    ],
)
def test_a_callback_is_called_with_what_the_release_knows(
    monkeypatch: pytest.MonkeyPatch, subscription: Any, has_info: bool, expected: dict[str, int]
) -> None:
    monkeypatch.setattr(rclpy_releases, "HAS_MESSAGE_INFO", has_info)
    called: list[Any] = []
    callback = with_message_info(lambda message, info: called.append((message, info)))
    subscription(callback).call("image", {"publication_sequence_number": 7})
    assert called == [("image", expected)]
