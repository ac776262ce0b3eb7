"""What happens when parameters are set while the node runs."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from rcl_interfaces.msg import SetParametersResult
from rclpy.node import Node
from rclpy.parameter import Parameter

from step_ros.bounded_text import MOST_TEXT, bounded
from step_ros.perception.model_roots import ModelRoots
from step_ros.ros.node.parameters import check_values, value_of
from step_ros.runs.parameters import spec_of


class LiveParameters:
    """Takes over what may change, and refuses the rest with the reason.

    Loading models takes long, and the answer waits for it; other requests are answered meanwhile.

    Args:
        node: whose parameters they are, all declared.
        configured: whether the node is configured, or on its way there, with the word for its state.
        apply: called with all new values of one request that change something in what is configured; what it
            raises refuses the request, which then must have changed nothing.
    """

    def __init__(
        self,
        node: Node,
        configured: Callable[[], tuple[bool, str]],
        apply: Callable[[Mapping[str, Any]], None],
    ) -> None:
        self._node = node
        self._configured = configured
        self._apply = apply
        named = [*value_of(node, "models"), value_of(node, "backbone")]
        self._roots = ModelRoots(value_of(node, "model_roots"), named)
        node.add_on_set_parameters_callback(self._on_set)

    def _on_set(self, parameters: list[Parameter]) -> SetParametersResult:
        # rclpy asks the callback that was added last first: values must be sound before anything is done.
        allowed = check_values(parameters)
        if not allowed.successful:
            return allowed
        specs = {parameter.name: spec_of(parameter.name) for parameter in parameters}
        values = {each.name: each.value for each in parameters if specs[each.name] is not None}
        try:
            self._roots.check([*(values.get("models") or []), values.get("backbone") or ""])
        except (ValueError, OSError) as error:  # the system's, of a name that no file can have
            return SetParametersResult(successful=False, reason=bounded(str(error), MOST_TEXT))
        configured, state = self._configured()
        if not configured:
            return allowed
        for name, value in values.items():
            spec = specs[name]
            if spec and spec.settable == "unconfigured" and value != value_of(self._node, name):
                reason = (
                    f"{name} takes effect when the node is configured, and it is {state}: deactivate it and "
                    "clean it up first, or restart it"
                )
                return SetParametersResult(successful=False, reason=reason)
        try:
            self._apply(values)
        except (ValueError, RuntimeError, OSError) as error:  # what the models' loaders raise
            return SetParametersResult(successful=False, reason=bounded(str(error), MOST_TEXT))
        return SetParametersResult(successful=True)
