"""The parameters of `step_ros.runs.parameters`, as rclpy has them."""

from __future__ import annotations

from typing import Any

from rcl_interfaces.msg import (
    FloatingPointRange,
    IntegerRange,
    ParameterDescriptor,
    ParameterType,
    SetParametersResult,
)
from rclpy.node import Node
from rclpy.parameter import Parameter

from step_ros.runs.parameters import (
    PARAMETERS,
    ParameterError,
    ParameterSpec,
    spec_of,
    specs_of_cameras,
    unknown_names,
)

TYPES = {
    bool: ParameterType.PARAMETER_BOOL,
    str: ParameterType.PARAMETER_STRING,
    int: ParameterType.PARAMETER_INTEGER,
    float: ParameterType.PARAMETER_DOUBLE,
    list: ParameterType.PARAMETER_STRING_ARRAY,
}


def descriptor_of(spec: ParameterSpec) -> ParameterDescriptor:
    """What `ros2 param describe` shows."""
    descriptor = ParameterDescriptor(
        name=spec.name,
        type=TYPES[type(spec.default)],
        description=spec.description + (f" Unit: {spec.within.unit}." if spec.within else ""),
        read_only=spec.read_only,
    )
    if spec.choices:
        descriptor.additional_constraints = spec.constraint()
    elif spec.within is None:
        pass
    elif isinstance(spec.default, int):
        limits = IntegerRange(from_value=int(spec.within.least), to_value=int(spec.within.most), step=1)
        descriptor.integer_range = [limits]
    else:
        limits = FloatingPointRange(from_value=float(spec.within.least), to_value=float(spec.within.most))
        descriptor.floating_point_range = [limits]
    return descriptor


def declare_parameters(node: Node) -> None:
    """Declare every parameter, with what is given on the command line, in a YAML file or by a launch file.

    A given name that no parameter has is named in a warning: it is a typing error, or meant for another node.

    Raises:
        rclpy.exceptions.ParameterException: a given value has the wrong type or is out of its range.
        ValueError: an empty list is given for what is no list.
    """
    node.add_on_set_parameters_callback(check_values)
    for spec in PARAMETERS:
        parameter = node.declare_parameter(spec.name, spec.default, descriptor_of(spec))
        # `[]` in YAML has no type, and leaves the parameter without a value.
        if parameter.type_ is Parameter.Type.NOT_SET:
            if not isinstance(spec.default, list):
                raise ValueError(
                    f"{spec.name} must be {spec.constraint() or type(spec.default).__name__}, got []"
                )
            node.set_parameters([Parameter(spec.name, Parameter.Type.STRING_ARRAY, [])])
    # rclpy keeps what was given and asked for by nobody to itself.
    given = getattr(node, "_parameter_overrides", {})
    cameras = value_of(node, "cameras")
    for spec in specs_of_cameras(cameras):
        if spec.name in given:
            node.declare_parameter(spec.name, spec.default, descriptor_of(spec))
    if unknown := unknown_names((name for name in given if not node.has_parameter(name)), cameras):
        node.get_logger().warning(
            f"{node.get_name()} has no such parameters, so they change nothing: {unknown}"
        )


def check_values(parameters: list[Parameter]) -> SetParametersResult:
    """Rclpy itself checks types, and ranges within a tolerance; which values are allowed, the table says."""
    for parameter in parameters:
        spec = spec_of(parameter.name)
        if spec is None or parameter.type_ is Parameter.Type.NOT_SET:
            continue
        try:
            spec.check(parameter.value)
        except ParameterError as error:
            return SetParametersResult(successful=False, reason=str(error))
    return SetParametersResult(successful=True)


def value_of(node: Node, name: str) -> Any:
    """The present value of a parameter."""
    return node.get_parameter(name).value


def value_of_camera(node: Node, camera: str, name: str) -> Any:
    """The present value of a parameter for a camera: its own, if given at the start, or all cameras'."""
    own = f"{camera}.{name}"
    return value_of(node, own if node.has_parameter(own) else name)
