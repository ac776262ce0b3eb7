"""A planner never mistakes an old label for a new one: real node, a camera that misbehaves in every way."""

from __future__ import annotations

import time
from types import SimpleNamespace
from typing import Any

import pytest
from diagnostic_msgs.msg import DiagnosticStatus
from vision_msgs.msg import Classification

from step_ros.ros.messages import nanoseconds_of

WITHIN = 1.0
"""Seconds from the last label to its being taken back, and to the error in diagnostics."""


@pytest.fixture(scope="module")
def node(module_graph: Any) -> SimpleNamespace:
    graph = module_graph
    film = graph.film()
    graph.start_ready_node("staleness.timeout:=0.7", "staleness.max_age:=2.0", "queue_size:=100")
    labels: list[tuple[float, Classification]] = []
    graph.client.create_subscription(
        Classification, "perception/object", lambda m: labels.append((time.monotonic(), m)), 100
    )
    return SimpleNamespace(
        graph=graph,
        client=graph.client,
        film=film,
        labels=labels,
        stable=graph.client.listen(Classification, "perception/object/stable", latched=True),
    )


def until_fresh(node: Any) -> None:
    count = len(node.labels)
    node.graph.wait_for(
        lambda: (
            len(node.labels) > count + 3
            and node.stable
            and node.stable[-1].results
            and node.client.values["labels"] == "fresh"
        ),
        "fresh labels",
    )


def until_stale(node: Any, *words: str) -> DiagnosticStatus:
    """Wait until labels are taken back and diagnostics say why."""

    def stale() -> bool:
        status = node.client.statuses[-1]
        told = status.level == DiagnosticStatus.ERROR and all(word in status.message for word in words)
        return told and not node.stable[-1].results

    node.graph.wait_for(stale, f"labels to be taken back with {words}")
    return node.client.statuses[-1]


def test_when_images_stop_labels_are_taken_back_within_a_second(node: Any) -> None:
    until_fresh(node)
    node.film.running = False
    node.client.statuses.clear()
    while not node.client.statuses or node.client.statuses[-1].level != DiagnosticStatus.ERROR:
        node.graph.spin(0.01)
        assert time.monotonic() - node.labels[-1][0] < 60
    errors = time.monotonic()
    until_stale(node, "no labels go out", "no image on", "1 publisher")
    last_label, _ = node.labels[-1]
    assert errors - last_label < WITHIN + 0.1  # diagnostics travel, and this process polls
    assert not node.stable[-1].results
    count = len(node.labels)
    node.graph.spin(0.5)
    assert len(node.labels) == count and node.client.values["labels"] == "stale"


def test_when_images_come_back_so_do_labels_with_new_onsets(node: Any) -> None:
    taken_back_ns = nanoseconds_of(node.stable[-1].header.stamp)
    node.film.running = True
    until_fresh(node)
    assert nanoseconds_of(node.stable[-1].header.stamp) > taken_back_ns
    assert all(
        nanoseconds_of(after.header.stamp) > nanoseconds_of(before.header.stamp)
        for (_, before), (_, after) in zip(node.labels, node.labels[1:], strict=False)
    )


@pytest.mark.parametrize(
    ("shift_s", "words"),
    [(-10, ["s old by this node's clock"]), (10, ["ahead of this node's clock"])],
    ids=["images of long ago", "images of the future"],
)
def test_images_of_another_time_give_no_labels(node: Any, shift_s: int, words: list[str]) -> None:
    until_fresh(node)
    node.film.shift_ns = shift_s * 10**9
    until_stale(node, "no labels go out", *words)
    wrong = [m for _, m in node.labels if abs(nanoseconds_of(m.header.stamp) / 1e9 - time.time()) > 60]
    assert wrong == []
    assert int(node.client.values["withheld"]) > 0
    node.film.shift_ns = 0
    until_fresh(node)


def test_a_window_with_gaps_gives_no_labels(node: Any) -> None:
    until_fresh(node)
    node.film.every = 13  # an image each 0.65 s, where a window takes one each 0.1 s
    until_stale(node, "no labels go out", "gaps")
    node.film.every = 1
    until_fresh(node)


def test_images_that_cannot_be_used_are_named(node: Any) -> None:
    until_fresh(node)
    node.film.encoding = "rainbow8"
    until_stale(node, "no labels go out", "unknown_encoding")
    node.film.encoding = "rgb8"
    until_fresh(node)


def test_another_resolution_and_encoding_go_on_at_once(node: Any) -> None:
    until_fresh(node)
    lapses = node.client.values["lapses"]
    node.film.size, node.film.encoding = (60, 90), "mono8"
    until_fresh(node)
    assert node.client.values["lapses"] == lapses


def test_another_publisher_goes_on_and_nothing_is_thought_lost(node: Any) -> None:
    until_fresh(node)
    lost = int(node.client.values["lost_before_receipt"])
    node.film.close()
    node.film = node.graph.film(reliable=False, rate=60.0)
    until_fresh(node)
    assert int(node.client.values["lost_before_receipt"]) - lost <= node.film.sent


def test_a_short_jump_of_the_stamps_begins_a_new_window_and_says_so(node: Any) -> None:
    until_fresh(node)
    node.film.shift_ns = -1_500_000_000  # back by more than a window
    node.graph.wait_for(lambda: node.client.count("restart.stamp_jumped_back"), "the restart")
    node.film.shift_ns = 0
    node.graph.wait_for(lambda: node.client.count("restart.stamp_jumped_ahead"), "the restart")
    until_fresh(node)


def test_every_frame_is_accounted_for(node: Any) -> None:
    node.film.running = False
    values = node.graph.settled_values()
    fates = ["encoded", "skipped_by_sampling", "skipped_inactive", "pending", "waiting"]
    fates += [name for name in values if name.startswith("dropped.")]
    assert int(values["received"]) == sum(int(values[name]) for name in fates)
