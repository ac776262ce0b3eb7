"""What a planner sees of the bundled scene with the bundled heads: how soon, how steadily, how often wrongly.

Scored as every run is, on what the real node said while it watched the recording at the recording's own pace.
"""

from __future__ import annotations

import json
from typing import Any

import pytest

from step_ros.ros.demo import CameraBag
from step_ros.shared_files import shared_folder

TASKS = ("fine_grained_action", "atomic_action", "object")

DELAY = 1.6
"""Seconds from the beginning of an action to its stable label, the median of those that are detected."""

DETECTED = 0.7
"""Share of the actions whose stable label comes before they are over."""

MOST_TURNS = 1.0
"""A minute: from one action to another while the truth stays what it is."""


@pytest.fixture(scope="module")
def scores(module_graph: Any, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """Of each task, of a run that was listened to while the bundled scene was played once."""
    graph, bag = module_graph, shared_folder() / "bags" / "tabletop"
    models = [shared_folder() / "models" / "tabletop" / task for task in TASKS]
    recording = CameraBag.of(bag)
    base = recording.topic.removesuffix("/compressed")
    out = tmp_path_factory.mktemp("seen") / "run"
    topics = dict.fromkeys([base, recording.topic, *(f"/truth/{task}" for task in TASKS)])
    remaps = [part for topic in topics for part in ("-r", f"{topic}:={graph.namespace}{topic}")]
    player = graph.start("step_ros.ros.bag_player", bag, "--wait-for-subscribers", 2, "--ros-args", *remaps)
    transport = "compressed" if recording.compressed else "raw"
    graph.start_ready_node(
        f"image_transport:={transport}", "engine:=auto", image=f"{graph.namespace}{base}", models=models
    )
    truth = ("--truth", f"{graph.namespace}/truth")
    node = f"{graph.namespace}/perception"
    listener = graph.start(
        "step_ros.cli", "listen", node, "--out", out, *truth, "--seconds", recording.seconds + 3
    )
    assert graph.spin_until_exit(player) == 0, player.output
    assert graph.spin_until_exit(listener) == 0, listener.output
    tasks: dict[str, Any] = json.loads((out / "metrics.json").read_text())["tasks"]
    return tasks


@pytest.mark.parametrize("task", TASKS)
def test_actions_are_detected_before_they_are_over_and_soon(scores: Any, task: str) -> None:
    print(task, scores[task]["stable"])
    found = scores[task]["stable"]["onsets"]
    assert found["count"] == 7
    assert found["detected"] >= DETECTED and found["delay_s"] <= DELAY


@pytest.mark.parametrize("task", TASKS)
def test_labels_do_not_turn(scores: Any, task: str) -> None:
    assert scores[task]["stable"]["turns_per_minute"] <= MOST_TURNS


@pytest.mark.parametrize("task", TASKS)
def test_an_action_is_held_for_a_good_part_of_it(scores: Any, task: str) -> None:
    assert scores[task]["stable"]["held"] >= 0.3


@pytest.mark.parametrize("task", TASKS)
def test_false_starts_are_fewer_than_actions(scores: Any, task: str) -> None:
    minutes = scores[task]["labelled_seconds"] / 60
    false_starts = scores[task]["stable"]["false_starts_per_minute"] * minutes
    assert false_starts < scores[task]["onsets"]["count"]
