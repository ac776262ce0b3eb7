"""What a planner sees of the bundled scene with the bundled heads: how soon, how steadily, how often wrongly.

Scored on ~/<task>/stable of the real node, which watches the recording at its own pace.
"""

from __future__ import annotations

import json
import statistics
import time
from dataclasses import dataclass
from itertools import zip_longest
from types import SimpleNamespace
from typing import Any

import pytest
from vision_msgs.msg import Classification

from step_ros.perception import UNKNOWN
from step_ros.ros.demo import Scene
from step_ros.ros.listener import LATCHED
from step_ros.ros.messages import nanoseconds_of
from step_ros.shared_files import shared_folder

TASKS = ("fine_grained_action", "atomic_action", "object")

DETECTED_WITHIN = 0.6
"""Seconds after half of an action, the median of all actions; one that is never seen counts as infinite."""

MOST_FLIPS = 1.0
"""A minute: from one action to another while the truth stays what it is."""

SLACK = 0.5
"""Seconds around a true action in which its label is no false start."""


@dataclass(frozen=True)
class Span:
    """A true action."""

    label: str
    start: float
    end: float


@dataclass(frozen=True)
class Change:
    """A stable label, with the times from which on it held and at which the planner had it."""

    label: str
    onset: float
    came: float


@pytest.fixture(scope="module")
def seen(module_graph: Any) -> SimpleNamespace:
    """All changes of the truth and of the stable labels while the bundled scene is played once."""
    graph, bag = module_graph, shared_folder() / "bags" / "tabletop"
    models = [shared_folder() / "models" / "tabletop" / task for task in TASKS]
    scene = Scene.of(bag)
    base = scene.topic.removesuffix("/compressed")
    truth: dict[str, list[tuple[str, float]]] = {task: [] for task in TASKS}
    stable: dict[str, list[Change]] = {task: [] for task in TASKS}

    def on_truth(message: Classification, task: str) -> None:
        label = message.results[0].class_id if message.results else ""
        truth[task].append((label, nanoseconds_of(message.header.stamp) / 1e9))

    def on_stable(message: Classification, task: str) -> None:
        label = message.results[0].class_id if message.results else ""
        stable[task].append(Change(label, nanoseconds_of(message.header.stamp) / 1e9, time.time()))

    for task in TASKS:
        for topic, handle in ((f"truth/{task}", on_truth), (f"perception/{task}/stable", on_stable)):
            graph.client.create_subscription(
                Classification, topic, lambda m, handle=handle, task=task: handle(m, task), LATCHED
            )
    topics = [base, scene.topic, *(f"/truth/{task}" for task in TASKS)]
    remaps = [
        part for topic in dict.fromkeys(topics) for part in ("-r", f"{topic}:={graph.namespace}{topic}")
    ]
    player = graph.start("step_ros.ros.bag_player", bag, "--wait-for-subscribers", 1, "--ros-args", *remaps)
    transport = "compressed" if scene.compressed else "raw"
    graph.start_ready_node(
        f"image_transport:={transport}", "engine:=auto", image=f"{graph.namespace}{base}", models=models
    )
    assert graph.spin_until_exit(player) == 0, player.output
    graph.spin(1.0)
    idle = {model.name: json.loads((model / "config.json").read_text())["idle_label"] for model in models}
    spans = {task: spans_of(truth[task], idle[task]) for task in TASKS}
    return SimpleNamespace(spans=spans, stable=stable, idle=idle, minutes=scene.seconds / 60)


def spans_of(changes: list[tuple[str, float]], idle: str) -> list[Span]:
    pairs = zip(changes, [*changes[1:], ("", changes[-1][1])], strict=True)
    return [Span(label, start, end) for (label, start), (_, end) in pairs if label not in (idle, "")]


def is_action(label: str, idle: str) -> bool:
    return label not in (idle, UNKNOWN, "")


def detection_delays(spans: list[Span], changes: list[Change]) -> list[float]:
    """Seconds from half of each action to when its label came; infinite where it did not."""
    delays = []
    for span in spans:
        came = [
            change.came
            for change in changes
            if change.label == span.label and span.start - SLACK <= change.onset <= span.end + SLACK
        ]
        delays.append(min(came, default=float("inf")) - (span.start + span.end) / 2)
    return delays


def share_held(spans: list[Span], changes: list[Change]) -> float:
    """Of the time of true actions, the share at which their label was the one that a planner had."""
    held = 0.0
    for change, after in zip_longest(changes, changes[1:]):
        until = after.came if after else float("inf")
        for span in spans:
            if span.label == change.label:
                held += max(0.0, min(until, span.end) - max(change.came, span.start))
    return held / sum(span.end - span.start for span in spans)


def flips(spans: list[Span], changes: list[Change], idle: str) -> int:
    """Changes from one action to another within one true action."""
    return sum(
        is_action(before.label, idle)
        and is_action(after.label, idle)
        and any(span.start <= before.onset and after.onset <= span.end for span in spans)
        for before, after in zip(changes, changes[1:], strict=False)
    )


def false_starts(spans: list[Span], changes: list[Change], idle: str) -> int:
    """Actions that were named and not there."""
    return sum(
        is_action(change.label, idle)
        and not any(
            span.label == change.label and span.start - SLACK <= change.onset <= span.end + SLACK
            for span in spans
        )
        for change in changes
    )


def test_what_was_seen_is_told(seen: Any) -> None:
    print()
    for task in TASKS:
        spans, changes, idle = seen.spans[task], seen.stable[task], seen.idle[task]
        delays = detection_delays(spans, changes)
        detected = sum(delay < float("inf") for delay in delays)
        starts, flipped = false_starts(spans, changes, idle), flips(spans, changes, idle)
        print(
            f"{task:<20} {len(spans)} actions, {detected} detected, "
            f"median {statistics.median(delays):.2f} s after half; held {share_held(spans, changes):.0%}; "
            f"a minute {starts / seen.minutes:.1f} false starts, {flipped / seen.minutes:.1f} flips"
        )
        assert spans and changes


@pytest.mark.parametrize("task", TASKS)
def test_an_action_is_detected_soon_after_its_half(seen: Any, task: str) -> None:
    assert statistics.median(detection_delays(seen.spans[task], seen.stable[task])) <= DETECTED_WITHIN


@pytest.mark.parametrize("task", TASKS)
def test_labels_do_not_flip(seen: Any, task: str) -> None:
    assert flips(seen.spans[task], seen.stable[task], seen.idle[task]) / seen.minutes <= MOST_FLIPS


@pytest.mark.parametrize("task", TASKS)
def test_an_action_is_held_for_most_of_what_is_left_of_it(seen: Any, task: str) -> None:
    assert share_held(seen.spans[task], seen.stable[task]) >= 0.3


@pytest.mark.parametrize("task", TASKS)
def test_false_starts_are_fewer_than_actions(seen: Any, task: str) -> None:
    assert false_starts(seen.spans[task], seen.stable[task], seen.idle[task]) < len(seen.spans[task])
