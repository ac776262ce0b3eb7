"""The node's parameters: what they are called, what they mean, in which unit, and which values they take."""

from __future__ import annotations

from dataclasses import dataclass
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

Value = str | int | float | list[str]

TYPES = {
    str: ParameterType.PARAMETER_STRING,
    int: ParameterType.PARAMETER_INTEGER,
    float: ParameterType.PARAMETER_DOUBLE,
    list: ParameterType.PARAMETER_STRING_ARRAY,
}


@dataclass(frozen=True)
class ParameterSpec:
    """One parameter."""

    name: str
    """As users write it; dots nest in a YAML file."""
    default: Value
    """Its type is the parameter's type."""
    description: str
    """A sentence or two."""
    unit: str = ""
    """Of a number that has one."""
    minimum: float | None = None
    """Least value of a number, included."""
    maximum: float | None = None
    """Greatest value of a number, included."""
    choices: tuple[str, ...] = ()
    """The values that a text may have, if only some make sense."""
    read_only: bool = False
    """Whether it can be set at the start only."""

    def constraint(self) -> str:
        """Which values are allowed, in words; empty if all of its type are."""
        if self.choices:
            return "one of " + ", ".join(self.choices)
        if self.minimum is None:
            return ""
        return f"from {self.minimum} to {self.maximum}"

    def descriptor(self) -> ParameterDescriptor:
        """What `ros2 param describe` shows."""
        descriptor = ParameterDescriptor(
            name=self.name,
            type=TYPES[type(self.default)],
            description=self.description + (f" Unit: {self.unit}." if self.unit else ""),
            read_only=self.read_only,
        )
        if self.choices:
            descriptor.additional_constraints = self.constraint()
        elif isinstance(self.default, int) and self.minimum is not None:
            limits = IntegerRange(from_value=int(self.minimum), to_value=int(self.maximum), step=1)
            descriptor.integer_range = [limits]
        elif isinstance(self.default, float):
            limits = FloatingPointRange(from_value=float(self.minimum), to_value=float(self.maximum))
            descriptor.floating_point_range = [limits]
        return descriptor


PARAMETERS = (
    ParameterSpec(
        "models",
        ["tabletop/fine_grained_action", "tabletop/atomic_action", "tabletop/object"],
        "The heads, one for each task: folders, names of bundled heads, or names on the Hugging Face hub.",
        read_only=True,
    ),
    ParameterSpec(
        "backbone",
        "",
        "The backbone that all heads were trained on: a folder or a hub name. Empty: the folder `backbone` "
        "beside the first head's folder, or else the one that the head's config names.",
        read_only=True,
    ),
    ParameterSpec(
        "engine",
        "auto",
        "What runs the backbone. auto: the fastest that is installed and whose tokens are those of PyTorch "
        "in float32. With any other that cannot be had, the node does not start.",
        # Those of step_ros.backbones.engines, which --help does not wait for.
        choices=("auto", "tensorrt", "inductor", "openvino", "onnxruntime", "eager"),
        read_only=True,
    ),
    ParameterSpec(
        "device",
        "auto",
        "Where the models run, as PyTorch names it: cpu, cuda:0. auto: the first GPU if there is one.",
        read_only=True,
    ),
    ParameterSpec(
        "num_threads",
        0,
        "CPU threads for inference. 0: PyTorch's own choice.",
        unit="threads",
        minimum=0,
        maximum=1024,
        read_only=True,
    ),
    ParameterSpec(
        "image_transport",
        "raw",
        "raw: subscribes sensor_msgs/Image on `image`. compressed: subscribes sensor_msgs/CompressedImage "
        "on `image/compressed`.",
        choices=("raw", "compressed"),
        read_only=True,
    ),
    ParameterSpec(
        "image_reliability",
        "auto",
        "Reliability of the image subscription. auto: reliable while every publisher offers it, so that "
        "large images arrive, else best_effort, so that every camera is heard.",
        choices=("auto", "reliable", "best_effort"),
        read_only=True,
    ),
    ParameterSpec(
        "image_queue_size",
        2,
        "Images that may wait to be decoded. When more would, the oldest is dropped and counted as "
        "dropped.decode_overload.",
        unit="messages",
        minimum=1,
        maximum=1000,
        read_only=True,
    ),
    ParameterSpec(
        "max_image_pixels",
        64_000_000,
        "Larger images are refused, as the cause too_large.",
        unit="pixels",
        minimum=1,
        maximum=2**31 - 1,
    ),
    ParameterSpec(
        "queue_size",
        2,
        "Selected frames that may wait for the backbone. When more would, the oldest is dropped and counted "
        "as dropped.overload.",
        unit="frames",
        minimum=1,
        maximum=1000,
        read_only=True,
    ),
    ParameterSpec(
        "max_held",
        -1,
        "Positions of a window that may show an older frame, because none came in time, before there is no "
        "answer. -1: half of the window.",
        unit="positions",
        minimum=-1,
        maximum=4096,
        read_only=True,
    ),
    ParameterSpec(
        "top_k",
        3,
        "Labels in each Classification, the most probable first.",
        unit="labels",
        minimum=1,
        maximum=65535,
    ),
    ParameterSpec(
        "filter.on_seconds",
        0.3,
        "How long a label must be the best without a break before ~/<task>/stable changes to it.",
        unit="seconds",
        minimum=0.0,
        maximum=60.0,
    ),
    ParameterSpec(
        "filter.off_seconds",
        0.5,
        "How long the label on ~/<task>/stable must be below the threshold before it is taken back.",
        unit="seconds",
        minimum=0.0,
        maximum=60.0,
    ),
    ParameterSpec(
        "filter.threshold",
        0.5,
        "Probability that a label needs to count for ~/<task>/stable.",
        unit="probability",
        minimum=0.0,
        maximum=1.0,
    ),
    ParameterSpec(
        "annotated_image.max_rate",
        15.0,
        "Most images a second on ~/annotated_image/compressed. They are drawn only while somebody listens.",
        unit="hertz",
        minimum=0.1,
        maximum=240.0,
    ),
    ParameterSpec(
        "annotated_image.max_width",
        640,
        "Wider images are made smaller before they are drawn on.",
        unit="pixels",
        minimum=64,
        maximum=8192,
    ),
    ParameterSpec(
        "annotated_image.jpeg_quality",
        80,
        "JPEG quality of the annotated image.",
        unit="percent",
        minimum=1,
        maximum=100,
    ),
    ParameterSpec(
        "diagnostics.period",
        1.0,
        "Time between two messages on /diagnostics.",
        unit="seconds",
        minimum=0.05,
        maximum=60.0,
        read_only=True,
    ),
    ParameterSpec(
        "diagnostics.image_timeout",
        2.0,
        "Without an image for that long, diagnostics are STALE.",
        unit="seconds",
        minimum=0.1,
        maximum=3600.0,
    ),
    ParameterSpec(
        "diagnostics.latency_warning",
        200.0,
        "A 99th percentile of the time from an image's stamp to its labels above this is a warning.",
        unit="milliseconds",
        minimum=1.0,
        maximum=60000.0,
    ),
)

_BY_NAME = {spec.name: spec for spec in PARAMETERS}


def declare_parameters(node: Node) -> None:
    """Declare every parameter, with what is given on the command line, in a YAML file or by a launch file.

    A given name that no parameter has is named in a warning: it is a typing error, or meant for another node.

    Raises:
        rclpy.exceptions.ParameterException: a given value has the wrong type or is out of its range.
    """
    node.add_on_set_parameters_callback(_check_choices)
    for spec in PARAMETERS:
        node.declare_parameter(spec.name, spec.default, spec.descriptor())
    # rclpy keeps what was given and asked for by nobody to itself.
    given = getattr(node, "_parameter_overrides", {})
    unknown = sorted(name for name in given if not node.has_parameter(name))
    if unknown:
        node.get_logger().warning(
            f"{node.get_name()} has no such parameters, so they change nothing: {', '.join(unknown)}"
        )


def describe_parameters() -> str:
    """Every parameter, for `--help`."""
    lines = []
    for spec in PARAMETERS:
        default = f"[{', '.join(spec.default)}]" if isinstance(spec.default, list) else repr(spec.default)
        facts = [f"default {default}", spec.constraint(), spec.unit, "read-only" if spec.read_only else ""]
        lines += [f"  {spec.name}", f"      {spec.description}", f"      ({'; '.join(filter(None, facts))})"]
    return "\n".join(lines)


def _check_choices(parameters: list[Parameter]) -> SetParametersResult:
    """Rcl itself checks types and ranges; which texts are allowed, only we know."""
    for parameter in parameters:
        spec = _BY_NAME.get(parameter.name)
        if spec and spec.choices and parameter.value not in spec.choices:
            reason = f"{spec.name} must be {spec.constraint()}, got {parameter.value!r}"
            return SetParametersResult(successful=False, reason=reason)
    return SetParametersResult(successful=True)


def value_of(node: Node, name: str) -> Any:
    """The present value of a parameter."""
    return node.get_parameter(name).value
