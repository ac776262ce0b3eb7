"""The node: a managed life around the pipeline, and an account of itself."""

from __future__ import annotations

import math
import threading
import time
from collections.abc import Callable, Mapping
from typing import Any

from diagnostic_msgs.msg import DiagnosticArray, DiagnosticStatus
from lifecycle_msgs.srv import ChangeState
from rcl_interfaces.srv import (
    DescribeParameters,
    GetParameters,
    GetParameterTypes,
    ListParameters,
    SetParameters,
    SetParametersAtomically,
)
from rclpy.callback_groups import MutuallyExclusiveCallbackGroup, ReentrantCallbackGroup
from rclpy.clock import Clock, ClockType
from rclpy.lifecycle import LifecycleNodeMixin, LifecycleState, TransitionCallbackReturn
from rclpy.node import Node
from std_srvs.srv import Trigger

from step_ros.bounded_text import MOST_TEXT, bounded
from step_ros.ros.node.bond import Bond, status_message
from step_ros.ros.node.camera import Camera
from step_ros.ros.node.causes import Level, Limits
from step_ros.ros.node.diagnoser import EVIDENCE_PERIODS
from step_ros.ros.node.diagnostics import Diagnostics, status_of
from step_ros.ros.node.live_parameters import LiveParameters
from step_ros.ros.node.outputs import ALIVE_WITHIN
from step_ros.ros.node.parameters import declare_parameters, value_of
from step_ros.ros.node.pipeline import Pipeline
from step_ros.ros.node.python_log import log_to_node, stop_logging_to_node

GRAPH_PERIOD = 0.2
"""Seconds between two looks at what the cameras offer."""

FRESHNESS_PERIOD = 0.1
"""Seconds between two looks at whether labels are stale."""

ALIVE_PERIOD = ALIVE_WITHIN / 2
"""Seconds between two messages that say that labels hold."""

STOPPING_SECONDS = 0.2
"""How long `stop` waits for a transition under way: an activation takes less; an engine's build goes on."""

TAKEN_BACK_WITHIN = 0.5
"""Seconds that planners may take at the end to receive that labels are taken back."""

EXECUTOR_THREADS = 5
"""A transition and a parameter may take long; images, timers and short services go on beside them."""

SLOWLY_APPLIED = {"models", "tasks", "window_seconds"}
"""Parameters that bring other heads, or another window: one change at a time."""

QUICKLY_APPLIED = {"max_held", "max_update_rate", "watchdog.timeout"}
"""Parameters that change something in what is configured, at once."""

PARAMETER_SERVICES = (
    DescribeParameters,
    GetParameters,
    GetParameterTypes,
    ListParameters,
    SetParameters,
    SetParametersAtomically,
)
"""Those of every node, which rclpy serves one at a time."""

SUCCESS, FAILURE = TransitionCallbackReturn.SUCCESS, TransitionCallbackReturn.FAILURE


class PerceptionNode(LifecycleNodeMixin, Node):
    """A managed node; to be spun by an executor of `EXECUTOR_THREADS`.

    *configure* loads the models, builds the engine and subscribes, *activate* lets images in and labels out,
    *deactivate* takes the labels back and keeps everything, *cleanup* gives everything back. A transition
    that fails leaves the node in the state before it, and diagnostics say why.

    Args:
        shared_memory: why DDS does without it; empty if it does not.

    Raises:
        rclpy.exceptions.ParameterException: a parameter has a value that it must not have.
    """

    def __init__(self, shared_memory: str = "") -> None:
        Node.__init__(self, "perception")
        self._shared_memory = shared_memory
        if shared_memory:
            self.get_logger().warning(shared_memory)
        declare_parameters(self)
        # Long transitions hold up nothing but themselves; `get_state` answers meanwhile.
        LifecycleNodeMixin.__init__(self, callback_group=ReentrantCallbackGroup())
        self._transition = threading.Lock()
        for service in self.services:
            if service.srv_type is ChangeState:
                service.callback = self._guarded(service.callback)
        self._python_log = log_to_node(self)
        self._pipeline: Pipeline | None = None
        self._bond: Bond | None = None
        self._diagnostics: dict[str, Diagnostics] = {}
        self._progress = ""
        self._progress_since = time.monotonic()
        self._error = ""
        self._callback_errors = 0
        self._callback_error = ""
        self._callback_error_at = -math.inf
        self._applying = False
        self._stopped = False
        LiveParameters(self, self._is_configured, self._apply)
        # In a group that lets them in beside each other: loading models holds up no other request.
        requests = ReentrantCallbackGroup()
        for service in self.services:
            if service.srv_type in PARAMETER_SERVICES:
                service.callback_group = requests
                requests.add_entity(service)
        self.create_service(Trigger, "~/reset", self._on_reset)
        self._diagnostics_publisher = self.create_publisher(DiagnosticArray, "/diagnostics", 10)
        # Not the ROS clock: all of it must also happen while a simulation stands still.
        steady = Clock(clock_type=ClockType.STEADY_TIME)
        timers = MutuallyExclusiveCallbackGroup()
        for period, callback in (
            (value_of(self, "diagnostics.period"), self._publish_diagnostics),
            (GRAPH_PERIOD, self._follow_publishers),
            (FRESHNESS_PERIOD, self._check_freshness),
            (ALIVE_PERIOD, self._tell_alive),
        ):
            self.create_timer(period, callback, clock=steady, callback_group=timers)

    # ---- life

    @property
    def state(self) -> str:
        """``unconfigured``, ``inactive``, ``active``, or the transition under way such as ``configuring``."""
        return self._state_machine.current_state[1]

    def start(self, on_failure: Callable[[str], None]) -> threading.Thread:
        """Configure and activate, in a thread of its own; `on_failure` is told the reason if that fails."""

        def run() -> None:
            for trigger in (self.trigger_configure, self.trigger_activate):
                with self._transition:
                    if self._stopped or not self.context.ok():
                        return
                    if trigger() != SUCCESS:
                        on_failure(self._error)
                        return

        thread = threading.Thread(target=run, name="autostart", daemon=True)
        thread.start()
        return thread

    def on_configure(self, state: LifecycleState) -> TransitionCallbackReturn:
        """Load, build, warm up; images are subscribed, but not looked at."""

        def configure() -> None:
            if value_of(self, "bond_heartbeat_period"):
                status_message()  # what activate will need
            pipeline = Pipeline(self, MutuallyExclusiveCallbackGroup, self._say)
            name = self.get_fully_qualified_name().strip("/")
            device = pipeline.facts()["device"]
            self._diagnostics = {
                each.name: Diagnostics(
                    f"{name}: {each.name or 'pipeline'}",
                    device,
                    each.topic,
                    value_of(self, "diagnostics.period"),
                )
                for each in pipeline.cameras.values()
            }
            self._pipeline = pipeline
            topics = ", ".join(camera.topic for camera in pipeline.cameras.values())
            facts = pipeline.facts()
            self.get_logger().info(
                f"ready: {facts['tasks']} from {topics} with {facts['backbone']} on {facts['engine']}"
            )

        return self._attempt("configure", configure)

    def on_activate(self, state: LifecycleState) -> TransitionCallbackReturn:
        """Let images in and labels out."""

        def activate() -> None:
            if period := value_of(self, "bond_heartbeat_period"):
                self._bond = Bond(self, period)
            # Nothing of before the pause: neither its images nor what was wrong then.
            if self._pipeline is not None and not self._pipeline.worker.stuck:
                self._pipeline.worker.reset()
            for diagnostics in self._diagnostics.values():
                diagnostics.forget()
            for camera in self._cameras():
                camera.activate()

        return self._attempt("activate", activate)

    def on_deactivate(self, state: LifecycleState) -> TransitionCallbackReturn:
        """Take labels back; nothing is published any more, and nothing given back."""

        def deactivate() -> None:
            for camera in self._cameras():
                camera.deactivate()
            self._break_bond()

        return self._attempt("deactivate", deactivate)

    def on_cleanup(self, state: LifecycleState) -> TransitionCallbackReturn:
        """Give everything back."""
        return self._attempt("clean up", self._take_down)

    def on_shutdown(self, state: LifecycleState) -> TransitionCallbackReturn:
        """Take labels back and give everything back."""

        def shut_down() -> None:
            for camera in self._cameras():
                camera.deactivate()
            self._take_down()

        return self._attempt("shut down", shut_down)

    def on_error(self, state: LifecycleState) -> TransitionCallbackReturn:
        """Go back to where the node can be configured again."""
        reason = self._error
        result = self._attempt("clean up after an error", self._take_down)
        self._error = reason or self._error
        return result

    def stop(self) -> None:
        """Take every label back, and wait a moment for planners to receive that; nothing is said any more.

        Nothing is given back, since the process ends.
        """
        self._stopped = True
        # Kept: no transition begins any more, and nothing is active again.
        self._transition.acquire(timeout=STOPPING_SECONDS)
        cameras = self._cameras() if self.context.ok() else []
        for camera in cameras:
            camera.deactivate()
        until = time.monotonic() + TAKEN_BACK_WITHIN
        for camera in cameras:
            camera.wait_until_received(until)
        if self.context.ok():
            self._break_bond()
        stop_logging_to_node(self._python_log)

    def note_callback_error(self, error: BaseException) -> None:
        """Something raised in a callback: it is told and counted, and the node goes on."""
        self._callback_errors += 1
        self._callback_error = bounded(f"{type(error).__name__}: {error}", MOST_TEXT)
        self._callback_error_at = time.monotonic()
        self.get_logger().error(f"a callback failed: {self._callback_error}")

    def _attempt(self, what: str, action: Callable[[], None]) -> TransitionCallbackReturn:
        """Do it; if it fails, the node stays in the state before, and says why."""
        self._progress_since, self._error = time.monotonic(), ""
        self._python_log.last = ""
        try:
            action()
        except Exception as error:
            # The loaders' own messages say what was found and what to do; others need their type.
            known = isinstance(error, (ValueError, RuntimeError, OSError))
            self._error = bounded(str(error) if known else f"{type(error).__name__}: {error}", MOST_TEXT)
            if self.context.ok():
                self.get_logger().error(f"cannot {what}: {self._error}")
            return FAILURE
        finally:
            self._progress = ""
        return SUCCESS

    def _guarded(self, change_state: Callable[..., Any]) -> Callable[..., Any]:
        """As `change_state`, but what is not possible now is refused, where rclpy would raise."""

        def answer(request: ChangeState.Request, response: ChangeState.Response) -> ChangeState.Response:
            asked = request.transition.label or request.transition.id
            if not self._transition.acquire(blocking=False):
                doing = "loading other models" if self._applying else self.state
                self.get_logger().error(f"transition {asked} is refused: the node is {doing}")
                response.success = False
                return response
            try:
                return change_state(request, response)
            except Exception as error:  # rcl's, of a type that only the implementation has
                self.get_logger().error(f"transition {asked} is not possible while {self.state}: {error}")
                response.success = False
                return response
            finally:
                self._transition.release()

        return answer

    def _break_bond(self) -> None:
        bond, self._bond = self._bond, None
        if bond is not None:
            bond.break_()

    def _take_down(self) -> None:
        self._break_bond()
        pipeline, self._pipeline = self._pipeline, None
        self._diagnostics = {}
        if pipeline is not None and not pipeline.close():
            self.get_logger().warning(
                "a thread still works in what was given back; it ends when it is through"
            )

    def _say(self, what: str) -> None:
        self._progress = bounded(what, MOST_TEXT)
        self.get_logger().info(self._progress)

    def _cameras(self) -> list[Camera]:
        return list(self._pipeline.cameras.values()) if self._pipeline is not None else []

    # ---- parameters and services

    def _is_configured(self) -> tuple[bool, str]:
        return self._pipeline is not None or self.state == "configuring", self.state

    def _apply(self, values: Mapping[str, Any]) -> None:
        slow, quick = SLOWLY_APPLIED & set(values), QUICKLY_APPLIED & set(values)
        if not slow and not quick:
            return  # read anew at each update
        if self._applying and not slow:
            # While models are loaded there is no transition, and this need not wait for them.
            if self._pipeline is not None:
                self._pipeline.apply(values)
            return
        if not self._transition.acquire(blocking=False):
            doing = "loading other models" if self._applying else self.state
            raise RuntimeError(f"the node is {doing}; set it again when that is done")
        self._applying = True
        try:
            if self._pipeline is not None:
                self._pipeline.apply(values)
        finally:
            self._applying = False
            self._transition.release()

    def _on_reset(self, request: Trigger.Request, response: Trigger.Response) -> Trigger.Response:
        pipeline = self._pipeline
        if pipeline is None:
            response.message = f"there is nothing to forget: the node is {self.state}"
            return response
        pipeline.reset()
        response.success = True
        response.message = "all images are forgotten; labels come again when the window is full"
        self.get_logger().info(f"reset: {response.message}")
        return response

    # ---- timers

    def _follow_publishers(self) -> None:
        for camera in self._cameras():
            camera.follow_publishers()

    def _check_freshness(self) -> None:
        lapsed = [camera.check_freshness() for camera in self._cameras()]
        if any(lapsed):
            self._publish_diagnostics()  # who watches them must not have to wait for the next turn

    def _tell_alive(self) -> None:
        for camera in self._cameras():
            camera.tell_alive()

    def _publish_diagnostics(self) -> None:
        if self._stopped:
            return
        pipeline, state, diagnostics = self._pipeline, self.state, self._diagnostics
        statuses = []
        if pipeline is not None and state == "active":
            statuses = [
                self._status_of(camera, pipeline, diagnostics[camera.name])
                for camera in list(pipeline.cameras.values())
                if camera.name in diagnostics  # else it is being taken down
            ]
        name = f"{self.get_fully_qualified_name().strip('/')}: pipeline"
        if [status.name for status in statuses] != [name]:
            statuses.insert(0, self._overview(name, pipeline, state, statuses))
        array = DiagnosticArray(status=statuses)
        array.header.stamp = self.get_clock().now().to_msg()
        self._diagnostics_publisher.publish(array)

    def _status_of(self, camera: Camera, pipeline: Pipeline, diagnostics: Diagnostics) -> DiagnosticStatus:
        facts = {
            "state": self.state,
            "shared_memory": self._shared_memory,
            **pipeline.facts(),
            "image_topic": camera.topic,
            "image_reliability": camera.reliability,
        }
        return diagnostics.status(
            camera.snapshot(self._callback_errors, self._callback_error),
            facts,
            Limits(value_of(self, "staleness.timeout"), value_of(self, "diagnostics.latency_warning")),
        )

    def _overview(
        self, name: str, pipeline: Pipeline | None, state: str, cameras: list[DiagnosticStatus]
    ) -> DiagnosticStatus:
        """The status of the node itself: of its life, or of all cameras together."""
        facts = {"state": state, "last_error": self._error, "callback_errors": str(self._callback_errors)}
        facts["shared_memory"] = self._shared_memory
        if pipeline is not None:
            facts |= pipeline.facts()
        if cameras:
            level = Level(max(status.level[0] for status in cameras))
            message = "; ".join(f"{status.name.rpartition(': ')[2]}: {status.message}" for status in cameras)
        elif self._error:
            level, message = Level.ERROR, f"{state}: {self._error}"
        elif state == "configuring":
            seconds = time.monotonic() - self._progress_since
            doing = " – ".join(filter(None, [self._progress, self._python_log.last]))
            level, message = Level.OK, f"configuring for {seconds:.0f} s: {doing or 'begins'}"
            facts["progress"] = doing
        else:
            level, message = Level.WARN, f"{state}: no labels go out until the node is active"
        expires = EVIDENCE_PERIODS * value_of(self, "diagnostics.period")
        if not cameras and time.monotonic() - self._callback_error_at < expires:
            level = max(level, Level.WARN)
            message = f"{message}; callbacks failed: {self._callback_error}"
        return status_of(level, message, facts, name=name, hardware_id=facts.get("device", ""))
