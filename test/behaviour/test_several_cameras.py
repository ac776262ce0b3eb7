"""Several cameras in one node: topics, diagnostics and fates of their own."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from diagnostic_msgs.msg import DiagnosticStatus
from rclpy.qos import QoSProfile, ReliabilityPolicy
from std_srvs.srv import Trigger
from vision_msgs.msg import Classification

from step_ros.frames import read_bag_frames
from step_ros.ros.messages import nanoseconds_of
from step_ros.runs.run import read_run


@pytest.fixture(scope="module")
def node(module_graph: Any) -> SimpleNamespace:
    graph = module_graph
    films = {
        "front": graph.film("front/image", rate=30.0),
        "wrist": graph.film("wrist/image", rate=15.0, reliable=False),
    }
    topic = f"{graph.namespace}/perception/front/object"
    graph.start_ready_node(
        "cameras:=[front,wrist]",
        "staleness.timeout:=0.7",
        "queue_size:=100",
        f"qos_overrides.{topic}.publisher.reliability:=best_effort",
    )
    names = [f"{camera}/{task}" for camera in films for task in ("atomic_action", "object")]
    labels = {
        name: graph.client.listen(Classification, f"perception/{name}", qos=best_effort()) for name in names
    }
    stable = {
        camera: graph.client.listen(Classification, f"perception/{camera}/object/stable", latched=True)
        for camera in films
    }
    return SimpleNamespace(graph=graph, client=graph.client, films=films, labels=labels, stable=stable)


def best_effort() -> Any:
    return QoSProfile(depth=1000, reliability=ReliabilityPolicy.BEST_EFFORT)


def status(node: Any, camera: str) -> DiagnosticStatus:
    return node.client.camera_statuses[camera][-1]


def values(node: Any, camera: str) -> dict[str, str]:
    return {pair.key: pair.value for pair in status(node, camera).values}


def test_each_camera_has_labels_of_its_own(node: Any) -> None:
    node.graph.wait_for(lambda: all(len(messages) > 5 for messages in node.labels.values()), "labels")
    stamps = {
        name: {nanoseconds_of(message.header.stamp) for message in messages}
        for name, messages in node.labels.items()
    }
    assert not stamps["front/object"] & stamps["wrist/object"]
    assert stamps["front/object"] & stamps["front/atomic_action"]


def test_each_camera_has_diagnostics_of_its_own(node: Any) -> None:
    node.graph.wait_for(lambda: set(node.client.camera_statuses) == set(node.films), "diagnostics")
    for camera in node.films:
        assert values(node, camera)["image_topic"].endswith(f"/{camera}/image")
    node.graph.wait_for(lambda: values(node, "front")["image_reliability"] == "reliable", "front")
    assert values(node, "wrist")["image_reliability"] == "best_effort"
    assert node.client.values["cameras"] == "front, wrist" and node.client.values["state"] == "active"


def test_who_listens_keeps_a_run_of_each(node: Any, tmp_path: Path) -> None:
    name = f"{node.graph.namespace}/perception"
    listener = node.graph.start("step_ros.cli", "listen", name, "--out", tmp_path, "--seconds", 3)
    assert node.graph.spin_until_exit(listener) == 0, listener.output
    for camera in node.films:
        run = read_run(tmp_path / camera)
        assert run.image_topic.endswith(f"/{camera}/image") and set(run.tasks) == {"atomic_action", "object"}
        seen = {frame.stamp_ns for frame in read_bag_frames(Path(run.recording))}
        assert run.updates and seen & {update.stamp_ns for update in run.updates}


def test_one_that_stops_is_stale_and_the_other_goes_on(node: Any) -> None:
    node.graph.wait_for(lambda: node.stable["wrist"] and node.stable["wrist"][-1].results, "a stable label")
    node.films["wrist"].running = False
    node.graph.wait_for(lambda: not node.stable["wrist"][-1].results, "the label to be taken back")
    node.graph.wait_for(lambda: status(node, "wrist").level == DiagnosticStatus.ERROR, "the error")
    count = len(node.labels["front/object"])
    node.graph.wait_for(
        lambda: len(node.labels["front/object"]) > count + 3 and values(node, "front")["labels"] == "fresh",
        "labels of the other camera",
    )
    overview = node.client.statuses[-1]
    assert overview.level == DiagnosticStatus.ERROR and "wrist: no labels go out" in overview.message
    node.films["wrist"].running = True
    node.graph.wait_for(lambda: node.stable["wrist"][-1].results, "a stable label")


def test_qos_can_be_overridden_with_ros_own_parameters(node: Any) -> None:
    offered = {
        name: node.client.get_publishers_info_by_topic(node.client.resolve_topic_name(f"perception/{name}"))
        for name in ("front/object", "wrist/object")
    }
    assert offered["front/object"][0].qos_profile.reliability == ReliabilityPolicy.BEST_EFFORT
    assert offered["wrist/object"][0].qos_profile.reliability == ReliabilityPolicy.RELIABLE


def test_a_reset_is_for_all(node: Any) -> None:
    counts = {camera: len(messages) for camera, messages in node.stable.items()}
    assert node.graph.call(Trigger, "reset", Trigger.Request()).success
    for camera, count in counts.items():
        node.graph.wait_for(lambda c=camera, n=count: len(node.stable[c]) > n, "the label to be taken back")


def test_every_frame_of_every_camera_is_accounted_for(node: Any) -> None:
    for film in node.films.values():
        film.running = False

    def balanced(camera: str) -> bool:
        books = values(node, camera)
        fates = ["encoded", "skipped_by_sampling", "skipped_inactive", "pending", "waiting"]
        fates += [name for name in books if name.startswith("dropped.")]
        assert int(books["received"]) == sum(int(books[name]) for name in fates)
        return books["waiting"] == "0"

    for camera in node.films:
        node.graph.wait_for(lambda c=camera: balanced(c), f"{camera} to come to rest")
