"""The image subscription follows what cameras offer, and notices what it misses."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Callable, Iterator
from typing import Any

import pytest
import rclpy
from rclpy.executors import SingleThreadedExecutor
from rclpy.qos import QoSProfile, ReliabilityPolicy
from sensor_msgs.msg import CompressedImage, Image

from step_ros.ros.node.image_input import MOST_LOST, ImageInput, reliability_for, type_name

TOPIC = "camera/compressed"


@pytest.fixture
def make_input(graph: Any) -> Iterator[Callable[..., Any]]:
    """An `ImageInput` on a node of its own, with the list of what it has received."""
    with contextlib.ExitStack() as stack:

        def make(reliability: str = "auto") -> Any:
            context = rclpy.Context()
            rclpy.init(context=context)
            stack.callback(rclpy.shutdown, context=context)
            node = rclpy.create_node(
                "watcher",
                context=context,
                namespace=graph.namespace,
                cli_args=["--ros-args", "-r", "image:=camera"],
            )
            stack.callback(node.destroy_node)
            executor = SingleThreadedExecutor(context=context)
            executor.add_node(node)
            received: list[Any] = []
            images = ImageInput(node, "compressed", reliability, received.append)

            def spin_until(condition: Callable[[], Any], what: str) -> None:
                end = time.monotonic() + 30
                while not condition():
                    assert time.monotonic() < end, f"waited in vain for {what}"
                    images.follow_publishers()
                    executor.spin_once(timeout_sec=0.02)

            return images, received, spin_until

        yield make


def publish(graph: Any, reliability: ReliabilityPolicy, depth: int = 100) -> Any:
    return graph.client.create_publisher(
        CompressedImage, TOPIC, QoSProfile(depth=depth, reliability=reliability)
    )


@pytest.mark.parametrize("policy", [ReliabilityPolicy.RELIABLE, ReliabilityPolicy.BEST_EFFORT])
def test_every_camera_is_heard_as_well_as_it_offers(graph: Any, make_input: Any, policy: Any) -> None:
    images, received, spin_until = make_input()
    assert images.topic == f"{graph.namespace}/{TOPIC}"
    publisher = publish(graph, policy)
    expected = "reliable" if policy == ReliabilityPolicy.RELIABLE else "best_effort"
    spin_until(lambda: images.publishers and images.reliability == expected, f"a {expected} subscription")
    spin_until(publisher.get_subscription_count, "the publisher to see it")
    publisher.publish(CompressedImage(format="jpeg"))
    spin_until(lambda: received, "the image")


def test_a_camera_that_gets_less_reliable_is_still_heard(graph: Any, make_input: Any) -> None:
    images, received, spin_until = make_input()
    reliable = publish(graph, ReliabilityPolicy.RELIABLE)
    spin_until(lambda: images.reliability == "reliable", "a reliable subscription")
    graph.client.destroy_publisher(reliable)
    publisher = publish(graph, ReliabilityPolicy.BEST_EFFORT)
    spin_until(lambda: images.reliability == "best_effort", "a best-effort subscription")
    spin_until(publisher.get_subscription_count, "the publisher to see it")
    publisher.publish(CompressedImage(format="jpeg"))
    spin_until(lambda: received, "the image")


RELIABLE, BEST_EFFORT = ReliabilityPolicy.RELIABLE, ReliabilityPolicy.BEST_EFFORT


@pytest.mark.parametrize(
    ("offered", "present", "asked"),
    [
        ([RELIABLE], BEST_EFFORT, RELIABLE),
        ([BEST_EFFORT], RELIABLE, BEST_EFFORT),
        ([RELIABLE, RELIABLE], BEST_EFFORT, RELIABLE),
        ([RELIABLE, BEST_EFFORT], RELIABLE, BEST_EFFORT),
        ([BEST_EFFORT, RELIABLE], RELIABLE, BEST_EFFORT),
        ([RELIABLE, BEST_EFFORT], BEST_EFFORT, BEST_EFFORT),
        ([], RELIABLE, RELIABLE),
        ([], BEST_EFFORT, BEST_EFFORT),
    ],
    ids=str,
)
def test_one_best_effort_publisher_decides(offered: Any, present: Any, asked: Any) -> None:
    assert reliability_for(offered, present) == asked


@pytest.mark.parametrize("first", [RELIABLE, BEST_EFFORT], ids=["reliable first", "best effort first"])
def test_publishers_that_differ_are_both_heard_whoever_comes_late(
    graph: Any, make_input: Any, first: Any
) -> None:
    images, received, spin_until = make_input()

    def until_heard(publisher: Any, name: str) -> None:
        def heard() -> bool:
            publisher.publish(CompressedImage(format=name))  # again: a subscription may be made anew just now
            return name in [message.format for message in received]

        spin_until(heard, f"the {name} publisher to be heard")

    early = publish(graph, first)
    until_heard(early, "first")
    late = publish(graph, BEST_EFFORT if first == RELIABLE else RELIABLE)
    spin_until(
        lambda: images.publishers == 2 and images.reliability == "best_effort", "a subscription for both"
    )
    until_heard(early, "early")
    until_heard(late, "late")
    graph.client.destroy_publisher(late if first == RELIABLE else early)
    spin_until(lambda: images.reliability == "reliable", "a subscription for the one that is left")


def test_a_publisher_of_another_type_does_not_decide(graph: Any, make_input: Any) -> None:
    images, _, spin_until = make_input()
    publish(graph, RELIABLE)
    context = rclpy.Context()  # a process has one type a topic
    rclpy.init(context=context)
    other = rclpy.create_node("other", context=context, namespace=graph.namespace)
    other.create_publisher(Image, TOPIC, QoSProfile(depth=1, reliability=BEST_EFFORT))
    spin_until(lambda: images.other_publishers, "both publishers")
    spin_until(lambda: images.reliability == "reliable", "a reliable subscription")
    assert images.publishers == 1
    assert images.other_publishers.startswith("sensor_msgs/msg/Image is published there")
    other.destroy_node()
    rclpy.shutdown(context=context)


def test_types_are_named_as_the_graph_names_them() -> None:
    assert type_name(CompressedImage) == "sensor_msgs/msg/CompressedImage"


def test_a_chosen_reliability_stays(graph: Any, make_input: Any) -> None:
    images, _, spin_until = make_input("best_effort")
    publish(graph, ReliabilityPolicy.RELIABLE)
    spin_until(lambda: images.publishers, "the publisher")
    assert images.reliability == "best_effort"


def test_images_that_were_replaced_before_they_were_taken_are_counted(graph: Any, make_input: Any) -> None:
    images, received, spin_until = make_input("reliable")
    publisher = publish(graph, ReliabilityPolicy.RELIABLE)
    spin_until(publisher.get_subscription_count, "the publisher to see it")
    publisher.publish(CompressedImage(format="first"))
    spin_until(lambda: received, "the first image")
    for _ in range(99):
        publisher.publish(CompressedImage(format="overtaken"))
    publisher.publish(CompressedImage(format="last"))
    spin_until(lambda: received[-1].format == "last", "the newest image")
    assert len(received) + images.lost == 101
    assert images.lost > 0


def test_numbers_far_apart_are_of_two_publishers_and_none_was_lost(graph: Any, make_input: Any) -> None:
    images, _, _ = make_input("reliable")
    for number in (5, 6, 9, 9 + MOST_LOST, 9 + 2 * MOST_LOST + 1, 3, 4, 5):
        images._note_sequence(number)
    assert images.lost == 2 + MOST_LOST - 1  # 7 and 8, and what a stretch of so many hides
