"""A lifecycle manager that does what Nav2's is documented and seen to do, over real services and topics.

Nav2's `nav2_lifecycle_manager`, from Humble on: a transition is asked for and its answer waited for without
limit, then `get_state` must answer within 5 s with the state that the transition leads to. After activating
it forms a bond by the node's name, on the topic `bond`, which must be there within half of `bond_timeout`,
4 s; a node that is silent for `bond_timeout`, or breaks its bond, is taken for dead. Deactivating ends the
bond.
"""

from __future__ import annotations

import time
import uuid
from typing import Any

from bond.msg import Status
from lifecycle_msgs.msg import State, Transition
from lifecycle_msgs.srv import ChangeState, GetState
from rclpy.qos import QoSProfile

from .ros_graph import Graph

SERVICE_TIMEOUT = 5.0
BOND_TIMEOUT = 4.0
HEARTBEAT_PERIOD = 0.25

LEADS_TO = {
    Transition.TRANSITION_CONFIGURE: State.PRIMARY_STATE_INACTIVE,
    Transition.TRANSITION_ACTIVATE: State.PRIMARY_STATE_ACTIVE,
    Transition.TRANSITION_DEACTIVATE: State.PRIMARY_STATE_INACTIVE,
    Transition.TRANSITION_CLEANUP: State.PRIMARY_STATE_UNCONFIGURED,
    Transition.TRANSITION_UNCONFIGURED_SHUTDOWN: State.PRIMARY_STATE_FINALIZED,
}


class ManagersEnd:
    """The other end of a bond, by bondcpp's state machine."""

    def __init__(self, graph: Graph, name: str) -> None:
        self.name = name
        self.instance = str(uuid.uuid4())
        self.state = "waiting for sister"
        self.heard: list[Status] = []
        self._client = graph.client
        self._last_heartbeat = float("inf")
        self._publisher = self._client.create_publisher(Status, "bond", QoSProfile(depth=5))
        self._subscription = self._client.create_subscription(Status, "bond", self._on_status, 100)
        self._timer = self._client.create_timer(HEARTBEAT_PERIOD, self._beat)

    @property
    def broken(self) -> bool:
        return self.state == "dead"

    def remove(self) -> None:
        """Without a word, as the end of a process that is killed."""
        self._client.destroy_timer(self._timer)
        self._client.destroy_subscription(self._subscription)
        self._client.destroy_publisher(self._publisher)

    def break_(self) -> None:
        if not self.broken:
            self._publish(False)
        self.state = "dead"
        self.remove()

    def _beat(self) -> None:
        if self.state == "alive" and time.monotonic() - self._last_heartbeat > BOND_TIMEOUT:
            self.state = "dead"
        if not self.broken:
            self._publish(True)

    def _on_status(self, status: Status) -> None:
        if status.id != self.name or status.instance_id == self.instance:
            return
        self.heard.append(status)
        if self.broken:
            return
        if status.active:
            self.state, self._last_heartbeat = "alive", time.monotonic()
        else:
            self.state = "dead"
            self._publish(False)

    def _publish(self, active: bool) -> None:
        self._publisher.publish(
            Status(
                id=self.name,
                instance_id=self.instance,
                active=active,
                heartbeat_timeout=BOND_TIMEOUT,
                heartbeat_period=HEARTBEAT_PERIOD,
            )
        )


class LifecycleManager:
    """Brings the perception node of a graph up and down."""

    def __init__(self, graph: Graph) -> None:
        self._graph = graph
        self.bond: ManagersEnd | None = None

    def change_state(self, transition: int) -> bool:
        """Whether the node is where the transition leads, and bound if it is active."""
        future = self.ask(transition)
        self._graph.wait_for(future.done, "the answer to the transition")  # Nav2 waits without limit
        if not future.result().success or self.get_state() != LEADS_TO[transition]:
            return False
        if transition == Transition.TRANSITION_ACTIVATE:
            self.bond = bond = ManagersEnd(self._graph, "perception")
            return self._holds_within(lambda: bond.state != "waiting for sister", BOND_TIMEOUT / 2)
        if transition == Transition.TRANSITION_DEACTIVATE and self.bond:
            self.bond.break_()
        return True

    def ask(self, transition: int) -> Any:
        """Ask for a transition; returns the future of the answer."""
        client = self._graph.client.create_client(ChangeState, "perception/change_state")
        self._graph.wait_for(client.service_is_ready, "change_state")
        return client.call_async(ChangeState.Request(transition=Transition(id=transition)))

    def get_state(self) -> int:
        """The node's state; 0 if it does not say within Nav2's `service_timeout`."""
        client = self._graph.client.create_client(GetState, "perception/get_state")
        if not self._holds_within(client.service_is_ready, SERVICE_TIMEOUT):
            return 0
        future = client.call_async(GetState.Request())
        if not self._holds_within(future.done, SERVICE_TIMEOUT):
            return 0
        return int(future.result().current_state.id)

    def startup(self) -> bool:
        return self.change_state(Transition.TRANSITION_CONFIGURE) and self.change_state(
            Transition.TRANSITION_ACTIVATE
        )

    def reset(self) -> bool:
        return self.change_state(Transition.TRANSITION_DEACTIVATE) and self.change_state(
            Transition.TRANSITION_CLEANUP
        )

    def _holds_within(self, condition: Any, seconds: float) -> bool:
        end = time.monotonic() + seconds
        while not condition() and time.monotonic() < end:
            self._graph.spin(0.02)
        return bool(condition())
