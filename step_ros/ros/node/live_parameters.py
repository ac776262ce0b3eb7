"""What happens when parameters are set while the node runs."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from rcl_interfaces.msg import SetParametersResult
from rclpy.node import Node
from rclpy.parameter import Parameter

from step_ros.ros.node.parameters import check_values, value_of
from step_ros.runs.parameters import spec_of


class LiveParameters:
    """Takes over what may change, and refuses the rest with the reason.

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
        node.add_on_set_parameters_callback(self._on_set)

    def _on_set(self, parameters: list[Parameter]) -> SetParametersResult:
        # rclpy asks the callback that was added last first: values must be sound before anything is done.
        allowed = check_values(parameters)
        configured, state = self._configured()
        if not allowed.successful or not configured:
            return allowed
        values = {}
        for parameter in parameters:
            name, value, spec = parameter.name, parameter.value, spec_of(parameter.name)
            if spec is None:
                continue
            values[name] = value
            if spec.settable == "unconfigured" and value != value_of(self._node, name):
                reason = (
                    f"{name} takes effect when the node is configured, and it is {state}: deactivate it and "
                    "clean it up first, or restart it"
                )
                return SetParametersResult(successful=False, reason=reason)
        try:
            self._apply(values)
        except (ValueError, RuntimeError, OSError) as error:  # what the models' loaders raise
            return SetParametersResult(successful=False, reason=str(error))
        return SetParametersResult(successful=True)
