"""The dashboard finds the tasks of a node by itself, and says so when there is none."""

from __future__ import annotations

import signal
from typing import Any

import pytest


def test_it_finds_the_tasks_of_a_running_node(graph: Any, recording: Any) -> None:
    graph.start_ready_node("image_transport:=compressed", image="camera")
    watching = graph.start("step_ros.cli", "watch", f"{graph.namespace}/perception")
    graph.wait_for(lambda: "no update yet" in watching.output, "the dashboard to find the node")
    player = graph.start_player(recording)
    graph.spin_until_exit(player)
    graph.wait_for(lambda: "push" in watching.output and "cup" in watching.output, "labels on the dashboard")
    assert "atomic_action: push" in watching.output
    assert "object: cup" in watching.output


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM], ids=lambda number: number.name)
def test_it_watches_until_it_is_stopped(graph: Any, number: signal.Signals) -> None:
    watching = graph.start("step_ros.cli", "watch", "/nobody")
    graph.wait_for(lambda: "waiting for" in watching.output, "the dashboard")
    watching.signal(number)
    watching.signal(number)
    assert graph.spin_until_exit(watching) == 0, watching.output
    assert "Traceback" not in watching.output


def test_a_name_that_nobody_has_is_told_and_ends_in_failure(graph: Any) -> None:
    watching = graph.start("step_ros.cli", "watch", "/nobody", "--seconds", 1.5)
    assert graph.spin_until_exit(watching) == 1
    assert "waiting for a perception node called /nobody" in watching.output
