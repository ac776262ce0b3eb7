"""Diagnoses of a real node over real DDS: what the graph, the clock or a callback tells, and that it ends."""

from __future__ import annotations

import sys
import textwrap
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from diagnostic_msgs.msg import DiagnosticStatus
from lifecycle_msgs.msg import Transition
from lifecycle_msgs.srv import ChangeState
from rclpy.qos import QoSProfile, ReliabilityPolicy
from sensor_msgs.msg import CompressedImage, Image
from std_msgs.msg import String
from vision_msgs.msg import Classification

LONGEST = 200_000


@pytest.fixture(scope="module")
def node(module_graph: Any) -> SimpleNamespace:
    graph = module_graph
    graph.start_ready_node("staleness.timeout:=0.7", "staleness.max_age:=5.0", image="camera/compressed")
    return SimpleNamespace(
        graph=graph, client=graph.client, labels=graph.client.listen(Classification, "perception/object")
    )


def until_said(node: Any, *words: str) -> DiagnosticStatus:
    node.graph.wait_for(
        lambda: all(word in node.client.statuses[-1].message for word in words), f"a message with {words}"
    )
    return node.client.statuses[-1]


def until_well(node: Any) -> None:
    node.graph.wait_for(lambda: node.client.statuses[-1].message == "labels are going out", "nothing wrong")
    assert node.client.values["causes"] == ""


def test_a_topic_of_another_type_is_told_by_the_type(node: Any) -> None:
    camera = node.client.create_publisher(CompressedImage, "camera/compressed", 10)
    status = until_said(
        node,
        "sensor_msgs/msg/CompressedImage is published there",
        "this node subscribes to sensor_msgs/msg/Image",
        "image_transport:=compressed",
        f"remap `image` to {node.graph.namespace}/camera",
    )
    assert status.level == DiagnosticStatus.ERROR and "silent" not in status.message
    node.client.destroy_publisher(camera)
    until_said(node, "no publisher: remap `image`")


def test_a_topic_of_no_images_is_told_by_the_type(node: Any) -> None:
    words = node.client.create_publisher(String, "camera/compressed", 10)
    until_said(node, "std_msgs/msg/String is published there, which is no image")
    node.client.destroy_publisher(words)


def test_the_transport_that_has_a_publisher_is_named(node: Any) -> None:
    camera = node.client.create_publisher(CompressedImage, "camera/compressed/compressed", 10)
    until_said(node, "camera/compressed/compressed has one: set image_transport:=compressed")
    node.client.destroy_publisher(camera)


def test_with_a_camera_all_of_that_is_forgotten(node: Any) -> None:
    node.film = node.graph.film("camera/compressed")
    until_well(node)


def test_an_encoding_of_absurd_length_is_cut_everywhere(node: Any) -> None:
    node.film.encoding = "rainbow" * LONGEST
    status = until_said(node, "no labels go out: frames cannot be used", f"({7 * LONGEST} characters)")
    assert sum(len(pair.value) for pair in status.values) + len(status.message) < 20_000
    node.film.encoding = "rgb8"
    until_well(node)
    assert all(len(line) < 5000 for line in node.graph._processes[0].output.splitlines())


def test_a_frame_id_of_absurd_length_does_not_go_out_with_every_label(node: Any) -> None:
    node.film.frame_id = "camera" * LONGEST
    node.graph.wait_for(lambda: node.labels[-1].header.frame_id != "camera", "a label of such an image")
    frame_id = node.labels[-1].header.frame_id
    assert frame_id.startswith("cameracamera") and frame_id.endswith(f"({6 * LONGEST} characters)")
    assert len(frame_id) < 250
    node.film.frame_id = "camera"


def test_latencies_are_of_late_and_begin_anew_with_every_activation(node: Any) -> None:
    until_well(node)
    node.film.shift_ns = -2_000_000_000  # each image seems two seconds old, and is let through
    until_said(node, "labels are late: p99 is 20", "images arrive 20")
    change(node, Transition.TRANSITION_DEACTIVATE)
    node.film.shift_ns = 0
    node.graph.next_status()
    node.client.statuses.clear()
    change(node, Transition.TRANSITION_ACTIVATE)
    node.graph.wait_for(lambda: node.client.values.get("labels") == "fresh", "labels")
    assert float(node.client.values["stamp_latency_p99_ms"]) < 1500
    until_well(node)


def change(node: Any, transition: int) -> None:
    request = ChangeState.Request(transition=Transition(id=transition))
    assert node.graph.call(ChangeState, "change_state", request).success


def test_a_camera_that_is_not_heard_for_its_qos_is_so_while_it_is_there(graph: Any) -> None:
    graph.start_ready_node("image_reliability:=reliable", "staleness.timeout:=0.7")
    seen = SimpleNamespace(graph=graph, client=graph.client)
    deaf = QoSProfile(depth=10, reliability=ReliabilityPolicy.BEST_EFFORT)
    camera = graph.client.create_publisher(Image, "image", deaf)
    until_said(seen, "no image on", "incompatible QoS, RELIABILITY", "image_reliability:=auto")
    graph.client.destroy_publisher(camera)
    graph.film()
    until_well(seen)
    assert graph.client.values["qos_trouble"] == "" and graph.client.count("incompatible_qos") >= 1


FAILING = """
import sys
from step_ros.ros.node import node, process

class Failing(node.PerceptionNode):
    def __init__(self, *args):
        super().__init__(*args)
        self.turns = 0
        self.create_timer(0.1, self.fail)

    def fail(self):
        self.turns += 1
        if self.turns < 40:
            raise KeyError("a gripper that nobody knows")

node.PerceptionNode = Failing
sys.exit(process.main())
"""


def test_a_callback_that_fails_is_a_warning_until_it_does_not(
    graph: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "failing.py").write_text(textwrap.dedent(FAILING))
    monkeypatch.setenv("PYTHONPATH", f"{tmp_path}:{':'.join(sys.path)}")
    graph.film()
    graph.start_node(module="failing")
    seen = SimpleNamespace(graph=graph, client=graph.client)
    graph.wait_for(lambda: graph.client.statuses, "diagnostics")
    status = until_said(seen, "callbacks failed", "KeyError: 'a gripper that nobody knows'")
    assert status.level == DiagnosticStatus.WARN
    graph.wait_for(lambda: graph.client.values["state"] == "active", "the node to be active")
    until_well(seen)
    assert graph.client.count("callback_errors") > 0


SLOW = """
import sys, time
from step_ros.backbones import Backbone
encode = Backbone.encode

def slow(self, rgb):
    time.sleep(0.3)  # three steps of the window
    return encode(self, rgb)

Backbone.encode = slow
from step_ros.ros.node.process import main
sys.exit(main())
"""


def test_the_delay_of_the_node_itself_is_not_taken_for_clocks_that_differ(
    graph: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "slow.py").write_text(SLOW)
    monkeypatch.setenv("PYTHONPATH", f"{tmp_path}:{':'.join(sys.path)}")
    graph.film()
    graph.start_node("staleness.max_age:=0.5", "queue_size:=1000", module="slow")
    seen = SimpleNamespace(graph=graph, client=graph.client)
    graph.wait_for(lambda: graph.client.statuses, "diagnostics")
    status = until_said(
        seen, "labels take ", "in this node, so their images are older than the 0.5 s allowed"
    )
    assert status.level == DiagnosticStatus.ERROR and "synchronise" not in status.message
    assert graph.client.count("withheld.own_delay") > 0 and graph.client.count("withheld.old_stamp") == 0
