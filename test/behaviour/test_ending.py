"""What planners are left with when the node ends: told to at any moment, or killed."""

from __future__ import annotations

import signal
from pathlib import Path
from typing import Any

import pytest
from rclpy.duration import Duration
from rclpy.qos import DurabilityPolicy, LivelinessPolicy, QoSProfile
from std_msgs.msg import Header
from vision_msgs.msg import Classification

from step_ros.ros.messages import nanoseconds_of

try:
    from rclpy.event_handler import SubscriptionEventCallbacks
except ImportError:  # ROS 2 Humble
    from rclpy.qos_event import SubscriptionEventCallbacks

SIGNALS = pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM], ids=lambda number: number.name)
TASKS = ("atomic_action", "object")

SIGNALLED_AT_AN_IMPORT = """
import os, sys

class Signaller:
    def find_spec(self, name, path=None, target=None):
        if name == {module!r}:
            os.kill(os.getpid(), {number})

sys.meta_path.insert(0, Signaller())
from step_ros.ros.node.process import main
sys.exit(main())
"""


@SIGNALS
@pytest.mark.parametrize("module", ["rclpy", "torch", "torch.nn", "step_ros.ros.node.node"])
def test_a_signal_during_an_import_ends_the_node_there(
    graph: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, module: str, number: signal.Signals
) -> None:
    script = SIGNALLED_AT_AN_IMPORT.format(module=module, number=int(number))
    (tmp_path / "signalled.py").write_text(script)
    monkeypatch.setenv("PYTHONPATH", str(tmp_path), prepend=":")
    node = graph.start_node(module="signalled")
    assert node.wait() == 0, node.output
    assert node.output == ""


@SIGNALS
def test_told_to_end_it_takes_its_labels_back(graph: Any, number: signal.Signals) -> None:
    graph.film()
    node = graph.start_ready_node()
    stable = {
        task: graph.client.listen(Classification, f"perception/{task}/stable", latched=True) for task in TASKS
    }
    graph.wait_for(lambda: all(said and said[-1].results for said in stable.values()), "labels")
    node.signal(number)
    node.signal(number)  # ros2 launch passes on the Ctrl-C that a node has had already
    assert graph.spin_until_exit(node) == 0, node.output
    graph.wait_for(lambda: not any(said[-1].results for said in stable.values()), "labels to be taken back")
    late = graph.client.listen(Classification, "perception/object/stable", latched=True)
    graph.spin(1.0)
    assert late == []
    assert "Traceback" not in node.output


def test_killed_it_is_missed_by_who_asks_for_a_lease(graph: Any) -> None:
    changes: list[Any] = []
    lease = QoSProfile(
        depth=1,
        durability=DurabilityPolicy.TRANSIENT_LOCAL,
        liveliness=LivelinessPolicy.AUTOMATIC,
        liveliness_lease_duration=Duration(seconds=2),
    )
    said: list[Any] = []
    graph.client.create_subscription(
        Classification,
        "perception/object/stable",
        said.append,
        lease,
        event_callbacks=SubscriptionEventCallbacks(liveliness=changes.append),
    )
    graph.film()
    node = graph.start_ready_node()
    graph.wait_for(lambda: said and said[-1].results and changes, "a label")
    assert changes[-1].alive_count == 1
    node.kill()
    graph.wait_for(lambda: not changes[-1].alive_count, "the node to be missed")
    assert changes[-1].not_alive_count_change == 1
    assert said[-1].results, "a node that was killed cannot have said anything"


def test_alive_says_as_of_when_labels_hold_and_falls_silent_with_them(graph: Any) -> None:
    missed: list[Any] = []
    beats: list[Any] = []
    graph.client.create_subscription(
        Header,
        "perception/alive",
        beats.append,
        QoSProfile(depth=10, deadline=Duration(seconds=1)),
        event_callbacks=SubscriptionEventCallbacks(deadline=missed.append),
    )
    labels = graph.client.listen(Classification, "perception/object")
    stable = graph.client.listen(Classification, "perception/object/stable", latched=True)
    film = graph.film()
    graph.start_ready_node("staleness.timeout:=2.0")
    graph.wait_for(lambda: len(beats) > 3, "beats")
    film.running = False
    graph.wait_for(lambda: stable[-1:] and not stable[-1].results, "the label to be taken back")
    graph.spin(0.5)  # a beat may have been on its way
    count, before = len(beats), len(missed)
    graph.wait_for(lambda: len(missed) > before, "the deadline to be missed")
    assert len(beats) == count
    stamps_ns = [nanoseconds_of(beat.stamp) for beat in beats]
    assert stamps_ns == sorted(stamps_ns)
    assert set(stamps_ns) <= {nanoseconds_of(label.header.stamp) for label in labels}
    assert {beat.frame_id for beat in beats} == {"camera"}
