"""The node's managed life, one real node after the other: states, transitions, and what comes when."""

from __future__ import annotations

import signal
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from diagnostic_msgs.msg import DiagnosticStatus
from lifecycle_msgs.msg import Transition, TransitionEvent
from lifecycle_msgs.srv import ChangeState, GetState
from rclpy.qos import QoSProfile
from vision_msgs.msg import Classification, LabelInfo

TRANSITIONS = {
    "configure": Transition.TRANSITION_CONFIGURE,
    "activate": Transition.TRANSITION_ACTIVATE,
    "deactivate": Transition.TRANSITION_DEACTIVATE,
    "cleanup": Transition.TRANSITION_CLEANUP,
    "shutdown": Transition.TRANSITION_INACTIVE_SHUTDOWN,
}


@pytest.fixture(scope="module")
def node(module_graph: Any, models: Any) -> SimpleNamespace:
    """A node that waits for a manager, and a camera."""
    graph = module_graph
    graph.film()
    process = graph.start_node(
        "autostart:=false",
        "models:=[/nowhere/at/all]",
        f"model_roots:=[{models.heads[0].parent}]",
        "staleness.timeout:=0.7",
    )

    def change(name: str) -> bool:
        request = ChangeState.Request(transition=Transition(id=TRANSITIONS[name]))
        return graph.call(ChangeState, "change_state", request).success

    def state() -> str:
        return graph.call(GetState, "get_state", GetState.Request()).current_state.label

    events = graph.client.listen(TransitionEvent, "perception/transition_event", qos=QoSProfile(depth=100))
    return SimpleNamespace(
        graph=graph,
        client=graph.client,
        process=process,
        change=change,
        state=state,
        events=events,
        labels=graph.client.listen(Classification, "perception/object"),
        stable=graph.client.listen(Classification, "perception/object/stable", latched=True),
        infos=graph.client.listen(LabelInfo, "perception/object/labels", latched=True),
    )


def status_when(node: Any, words: str) -> DiagnosticStatus:
    node.graph.wait_for(
        lambda: node.client.statuses and words in node.client.statuses[-1].message,
        f"diagnostics with {words!r}",
    )
    return node.client.statuses[-1]


def test_it_waits_for_a_manager_and_says_so(node: Any) -> None:
    assert node.state() == "unconfigured"
    assert status_when(node, "unconfigured").level == DiagnosticStatus.WARN
    assert node.client.values["state"] == "unconfigured"


def test_what_is_not_possible_now_is_refused_and_the_node_lives_on(node: Any) -> None:
    assert not node.change("activate")
    assert node.state() == "unconfigured"


def test_a_configuration_that_fails_ends_where_it_began_with_the_reason(node: Any) -> None:
    assert not node.change("configure")
    assert node.state() == "unconfigured"
    node.graph.wait_for(lambda: "/nowhere/at/all" in node.client.values["last_error"], "the reason")
    assert status_when(node, "unconfigured: ").level == DiagnosticStatus.ERROR


def test_what_lies_elsewhere_is_refused_before_it_is_configured_too(node: Any) -> None:
    assert "model_roots" in node.graph.set_parameter("models", ["/etc"])
    assert "model_roots" in node.graph.set_parameter("backbone", "/etc")


def test_what_is_wrong_can_be_set_right_before_it_is_configured(node: Any, models: Any) -> None:
    assert node.graph.set_parameter("models", [str(head) for head in models.heads]) == ""
    assert node.graph.set_parameter("queue_size", 5) == ""
    assert node.change("configure")
    assert node.state() == "inactive"
    node.graph.wait_for(lambda: node.infos, "the task's labels")
    assert status_when(node, "inactive").level == DiagnosticStatus.WARN
    assert "queue_size takes effect when" in node.graph.set_parameter("queue_size", 6)


def test_while_inactive_images_are_counted_and_nothing_is_said(node: Any) -> None:
    node.graph.spin(1.0)
    assert node.labels == [] and node.stable == []


def test_active_it_says_labels_from_the_first_window_on(node: Any) -> None:
    assert node.change("activate")
    node.graph.wait_for(lambda: len(node.labels) > 3 and node.stable, "labels")
    assert node.stable[-1].results[0].class_id == "cup"
    assert status_when(node, "labels are going out").level in (DiagnosticStatus.OK, DiagnosticStatus.WARN)
    values = node.client.values
    assert int(values["skipped_inactive"]) > 0
    fates = ["encoded", "skipped_by_sampling", "skipped_inactive", "pending", "waiting"]
    fates += [name for name in values if name.startswith("dropped.")]
    assert int(values["received"]) == sum(int(values[name]) for name in fates)


def test_deactivated_it_takes_its_label_back_and_is_silent(node: Any) -> None:
    assert node.change("deactivate")
    node.graph.wait_for(lambda: not node.stable[-1].results, "the label to be taken back")
    count = len(node.labels)
    node.graph.spin(1.0)
    assert len(node.labels) == count and node.state() == "inactive"


def test_active_again_it_goes_on(node: Any) -> None:
    count = len(node.labels)
    assert node.change("activate")
    node.graph.wait_for(lambda: len(node.labels) > count and node.stable[-1].results, "labels")
    assert node.change("deactivate")


def test_cleaned_up_everything_is_given_back(node: Any) -> None:
    assert node.change("cleanup")
    assert node.state() == "unconfigured"
    topic = node.client.resolve_topic_name("perception/object")
    node.graph.wait_for(lambda: not node.client.count_publishers(topic), "the topics to go")
    assert status_when(node, "unconfigured").level == DiagnosticStatus.WARN


def test_it_can_be_configured_again(node: Any) -> None:
    count = len(node.labels)
    assert node.change("configure") and node.change("activate")
    node.graph.wait_for(lambda: len(node.labels) > count, "labels")


def test_transitions_are_told(node: Any) -> None:
    node.graph.wait_for(
        lambda: len(node.events) > 4 and node.events[-1].goal_state.label == "active", "events"
    )
    goals = [event.goal_state.label for event in node.events]
    assert goals[-1] == "active" and "configuring" in goals and "unconfigured" in goals


def test_shut_down_it_ends_cleanly_when_told_to(node: Any) -> None:
    assert node.change("deactivate") and node.change("shutdown")
    assert node.state() == "finalized"
    node.process.signal(signal.SIGTERM)
    assert node.process.wait() == 0, node.process.output
    assert "Traceback" not in node.process.output


SLOW_BUILD = """
import sys, time
from step_ros.perception import loading
build = loading.select_engine
def slow(encoder, name):
    import logging
    logging.getLogger("step_ros.slow").info("building the engine: 0 s so far")
    time.sleep(600)
loading.select_engine = slow
from step_ros.ros.node.process import main
sys.exit(main())
"""


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM], ids=lambda number: number.name)
def test_an_engine_that_is_long_in_building_looks_alive_and_can_be_stopped(
    graph: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, number: signal.Signals
) -> None:
    (tmp_path / "slow_build.py").write_text(SLOW_BUILD)
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    node = graph.start_node(module="slow_build")
    graph.wait_for(
        lambda: "building the engine" in graph.client.values.get("progress", ""),
        "the progress in diagnostics",
    )
    assert graph.client.statuses[-1].level == DiagnosticStatus.OK
    assert graph.client.statuses[-1].message.startswith("configuring for ")
    assert graph.call(GetState, "get_state", GetState.Request()).current_state.label == "configuring"
    refused = graph.call(ChangeState, "change_state", ChangeState.Request(transition=Transition(id=1)))
    assert not refused.success
    assert "the node is configuring" in graph.set_parameter("tasks", ["object"])
    node.signal(number)
    assert node.wait() == 0, node.output
    assert "Traceback" not in node.output
