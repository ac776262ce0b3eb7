"""The node under a lifecycle manager that does as Nav2's: transitions in the times it expects, the bond."""

from __future__ import annotations

import signal
from pathlib import Path
from typing import Any

import pytest
from lifecycle_msgs.msg import State, Transition

from ..lifecycle_manager import BOND_TIMEOUT, SERVICE_TIMEOUT, LifecycleManager, ManagersEnd

MANAGED = ("autostart:=false", "bond_heartbeat_period:=0.25")

SLOW_TO_CONFIGURE = f"""
import sys, time
from step_ros.perception import loading
build = loading.select_engine
def slow(*arguments, **options):
    time.sleep({SERVICE_TIMEOUT + 2})
    return build(*arguments, **options)
loading.select_engine = slow
from step_ros.ros.node.process import main
sys.exit(main())
"""


@pytest.fixture
def manager(graph: Any) -> LifecycleManager:
    return LifecycleManager(graph)


def bond_of(manager: LifecycleManager) -> ManagersEnd:
    assert manager.bond is not None
    return manager.bond


def test_it_is_brought_up_bound_paused_resumed_reset_and_shut_down(graph: Any, manager: Any) -> None:
    node = graph.start_node(*MANAGED)
    assert manager.startup(), node.output
    first = bond_of(manager)
    graph.spin(BOND_TIMEOUT + 1)
    assert first.state == "alive"
    assert {(each.heartbeat_timeout, each.heartbeat_period) for each in first.heard} == {(4.0, 0.25)}
    assert len({each.instance_id for each in first.heard}) == 1

    assert manager.change_state(Transition.TRANSITION_DEACTIVATE)
    assert not first.heard[-1].active, "the node says that it leaves"
    assert manager.change_state(Transition.TRANSITION_ACTIVATE)
    assert bond_of(manager).heard[-1].instance_id != first.heard[-1].instance_id
    assert manager.reset() and manager.startup() and manager.reset()
    assert manager.change_state(Transition.TRANSITION_UNCONFIGURED_SHUTDOWN)
    assert "callback failed" not in node.output


def test_a_long_configure_is_waited_for_and_get_state_answers_meanwhile(
    graph: Any, manager: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "slow_to_configure.py").write_text(SLOW_TO_CONFIGURE)
    monkeypatch.setenv("PYTHONPATH", str(tmp_path), prepend=":")
    node = graph.start_node(*MANAGED, module="slow_to_configure")
    graph.wait_for(lambda: graph.client.values.get("state") == "unconfigured", "the node")
    assert manager.get_state() == State.PRIMARY_STATE_UNCONFIGURED, node.output
    answer = manager.ask(Transition.TRANSITION_CONFIGURE)
    graph.wait_for(lambda: graph.client.values.get("state") == "configuring", "configure to begin")
    assert manager.get_state() == State.TRANSITION_STATE_CONFIGURING and not answer.done()
    graph.wait_for(answer.done, "configure to end")
    assert answer.result().success and manager.change_state(Transition.TRANSITION_ACTIVATE), node.output


def test_a_killed_node_is_missed_and_bound_again_when_it_is_back(graph: Any, manager: Any) -> None:
    node = graph.start_node(*MANAGED)
    assert manager.startup(), node.output
    node.kill()
    graph.wait_for(lambda: bond_of(manager).broken, "the bond to be broken")
    assert all(each.active for each in bond_of(manager).heard), "the dead say nothing"
    back = graph.start_node(*MANAGED)
    graph.wait_for(lambda: graph.client.values.get("state") == "unconfigured", "the node to be back")
    assert manager.startup(), back.output


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM], ids=lambda number: number.name)
def test_a_node_that_is_told_to_end_breaks_its_bond(graph: Any, manager: Any, number: signal.Signals) -> None:
    node = graph.start_node(*MANAGED)
    assert manager.startup(), node.output
    node.signal(number)
    graph.wait_for(lambda: bond_of(manager).broken, "the bond to be broken")
    assert not bond_of(manager).heard[-1].active, "it was broken, not missed"
    assert node.wait() == 0, node.output


def test_a_manager_that_dies_does_not_end_the_node(graph: Any, manager: Any) -> None:
    graph.start_node(*MANAGED)
    assert manager.startup()
    bond_of(manager).remove()
    graph.spin(BOND_TIMEOUT + 1)
    assert manager.get_state() == State.PRIMARY_STATE_ACTIVE


def test_without_the_parameter_there_is_no_bond(graph: Any, manager: Any) -> None:
    graph.start_node("autostart:=false")
    assert not manager.startup(), "Nav2 gives up on a node that it cannot form a bond with"
    assert not bond_of(manager).heard
    assert manager.get_state() == State.PRIMARY_STATE_ACTIVE
