"""The node as a process: how it ends, what it says when it cannot start, and recorded time."""

from __future__ import annotations

import signal
from typing import Any

import pytest
from builtin_interfaces.msg import Time
from vision_msgs.msg import Classification

from step_ros.ros.messages import nanoseconds_of
from step_ros.ros.node import process as perception_node
from step_ros.runs.parameters import PARAMETERS


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM], ids=lambda number: number.name)
def test_signals_end_the_node_cleanly_at_work(graph: Any, recording: Any, number: signal.Signals) -> None:
    node = graph.start_ready_node("image_transport:=compressed", image="camera")
    labels = graph.client.listen(Classification, "perception/object")
    graph.start_player(recording, "--loop")
    graph.wait_for(lambda: labels, "labels")
    node.signal(number)
    node.signal(number)  # ros2 launch passes on the Ctrl-C that a node has had already
    assert node.wait() == 0, node.output
    assert "Traceback" not in node.output


def test_a_signal_ends_the_node_cleanly_while_it_loads(graph: Any) -> None:
    node = graph.start_node()
    graph.wait_for(lambda: "loading" in node.output or not node.running, "the node to load its models")
    node.signal(signal.SIGINT)
    assert node.wait() == 0, node.output
    assert "Traceback" not in node.output


def test_recorded_time_is_kept_with_use_sim_time(graph: Any, recording: Any) -> None:
    graph.start_ready_node("image_transport:=compressed", "use_sim_time:=true", image="camera")
    labels = graph.client.listen(Classification, "perception/object")
    player = graph.start_player(recording, "--no-restamp")
    assert graph.spin_until_exit(player) == 0
    values = graph.settled_values()
    stamps_ns = [nanoseconds_of(message.header.stamp) for message in labels]
    assert stamps_ns and set(stamps_ns) <= set(recording.stamps_ns)
    # By the recording's clock, labels follow their images within its few seconds, not within years.
    assert abs(float(values["stamp_latency_p50_ms"])) < 60_000


@pytest.mark.parametrize(
    ("parameters", "words"),
    [
        (["image_transport:=smoke"], ["image_transport", "smoke", "raw, compressed"]),
        (["top_k:=0"], ["top_k"]),
        (["top_k:=many"], ["top_k"]),
        (["device:=abacus"], ["abacus", "cuda:0"]),
        (["backbone:=/nowhere"], ["/nowhere"]),
    ],
    ids=lambda value: value[0],
)
def test_what_keeps_the_node_from_starting_is_said_in_a_paragraph(
    graph: Any, parameters: list[str], words: list[str]
) -> None:
    node = graph.start_node(*parameters)
    assert node.wait() == 1
    assert "cannot start" in node.output and "Traceback" not in node.output
    for word in words:
        assert word in node.output


def test_a_head_for_another_backbone_is_refused_naming_both(graph: Any, models: Any) -> None:
    node = graph.start_node(models=[models.heads[0], models.foreign_head])
    assert node.wait() == 1
    assert "ours/backbone" in node.output and "theirs/backbone" in node.output
    assert "Traceback" not in node.output


def test_help_tells_every_parameter(capsys: pytest.CaptureFixture[str]) -> None:
    assert perception_node.main(["--help"]) == 0
    text = capsys.readouterr().out
    assert all(f"  {spec.name}\n" in text for spec in PARAMETERS)


def test_an_unknown_argument_is_refused(capsys: pytest.CaptureFixture[str]) -> None:
    assert perception_node.main(["--models", "x"]) == 2
    assert "--models" in capsys.readouterr().err


def test_stamps_are_converted_exactly() -> None:
    assert nanoseconds_of(Time(sec=1_700_000_000, nanosec=999_999_999)) == 1_700_000_000_999_999_999
