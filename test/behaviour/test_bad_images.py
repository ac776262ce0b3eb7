"""Raw images from a camera that misbehaves: bad ones are counted and named, and the next good one works."""

from __future__ import annotations

import array
from collections.abc import Iterator
from types import SimpleNamespace
from typing import Any

import pytest
from diagnostic_msgs.msg import DiagnosticStatus
from rclpy.qos import QoSProfile
from sensor_msgs.msg import Image
from std_srvs.srv import Trigger
from vision_msgs.msg import Classification

from step_ros.ros.messages import nanoseconds_of, stamp_of

STEP_NS = 100_000_000  # of the heads' grid
WIDTH, HEIGHT = 64, 48


def good_image(stamp_ns: int) -> Image:
    image = Image(height=HEIGHT, width=WIDTH, encoding="rgb8", step=3 * WIDTH)
    image.data = array.array("B", bytes(range(192)) * HEIGHT)
    image.header.stamp = stamp_of(stamp_ns)
    image.header.frame_id = "camera"
    return image


BAD = {
    "zero_size": {"height": 0, "data": array.array("B")},
    "truncated_data": {"data": array.array("B", bytes(100))},
    "wrong_step": {"step": 10},
    "unknown_encoding": {"encoding": "rainbow8"},
    "too_large": {"width": 60_000, "height": 60_000},
}


@pytest.fixture(scope="module")
def camera(module_graph: Any) -> Iterator[SimpleNamespace]:
    """A node that is ready, and a camera whose images it does not miss."""
    module_graph.start_ready_node("image_queue_size:=1000", "queue_size:=1000")
    client = module_graph.client
    publisher = client.create_publisher(Image, "image", QoSProfile(depth=100))
    labels = client.listen(Classification, "perception/object")
    module_graph.wait_for(
        lambda: client.values.get("image_reliability") == "reliable" and publisher.get_subscription_count(),
        "a reliable subscription",
    )
    now_ns = client.get_clock().now().nanoseconds
    state = SimpleNamespace(graph=module_graph, client=client, labels=labels, stamp_ns=now_ns)

    def send(**changes: Any) -> None:
        """Send one image, a step after the last one, and wait until the node has it."""
        state.stamp_ns += STEP_NS
        image = good_image(changes.pop("stamp_ns", state.stamp_ns))
        for name, value in changes.items():
            setattr(image, name, value)
        received = client.count("received")
        publisher.publish(image)
        module_graph.wait_for(lambda: client.count("received") > received, "the node to have the image")

    def until_labels() -> None:
        """Send good images until a new label comes."""
        count = len(labels)
        for _ in range(30):
            send()
            if len(labels) > count:
                return
        module_graph.wait_for(lambda: len(labels) > count, "a label after good images")

    state.send, state.until_labels = send, until_labels
    yield state


def test_good_images_give_labels(camera: Any) -> None:
    camera.until_labels()
    assert camera.labels[-1].header.frame_id == "camera"


@pytest.mark.parametrize("cause", BAD)
def test_a_bad_image_is_counted_named_and_survived(camera: Any, cause: str) -> None:
    before = camera.client.count(f"dropped.{cause}")
    camera.send(**BAD[cause])
    status = camera.graph.next_status()
    assert camera.client.count(f"dropped.{cause}") == before + 1
    assert cause in camera.client.values["last_error"]
    assert status.level in (DiagnosticStatus.WARN, DiagnosticStatus.ERROR)
    camera.until_labels()


def test_only_bad_images_are_an_error(camera: Any) -> None:
    for _ in range(8):
        camera.send(encoding="rainbow8")
    camera.graph.wait_for(
        lambda: (
            camera.client.statuses[-1].level == DiagnosticStatus.ERROR
            and "unknown_encoding" in camera.client.statuses[-1].message
        ),
        "an error that names the cause",
    )
    camera.until_labels()


def test_images_without_a_stamp_get_the_time_of_receipt(camera: Any) -> None:
    camera.send(stamp_ns=0)
    camera.graph.next_status()
    assert camera.client.count("zero_stamp") == 1


def test_reset_empties_the_window(camera: Any) -> None:
    camera.until_labels()
    client = camera.client.create_client(Trigger, "perception/reset")
    assert client.wait_for_service(20)
    camera.graph.settled_values()
    count = len(camera.labels)
    future = client.call_async(Trigger.Request())
    camera.graph.wait_for(future.done, "the reset")
    assert future.result().success and future.result().message
    reset_ns = camera.stamp_ns
    camera.send()
    camera.send()
    camera.graph.settled_values()
    assert len(camera.labels) == count, "two frames do not make a window"
    camera.until_labels()
    assert nanoseconds_of(camera.labels[-1].header.stamp) >= reset_ns + 4 * STEP_NS


def test_the_books_balance(camera: Any) -> None:
    values = camera.graph.settled_values()
    fates = ["encoded", "skipped_by_sampling", "skipped_inactive", "pending", "waiting"]
    fates += [name for name in values if name.startswith("dropped.")]
    assert int(values["received"]) == sum(int(values[name]) for name in fates)
    assert values["lost_before_receipt"] == "0"
