"""The node's parameters: what they are called, what they mean, in which unit, and which values they take."""

from __future__ import annotations

import difflib
from collections.abc import Iterable
from dataclasses import dataclass, replace
from typing import Literal, NamedTuple

from step_ros.bounded_text import bounded

ParameterValue = bool | str | int | float | list[str]

OF_EVERY_NODE = {"use_sim_time": bool, "start_type_description_service": bool}
"""Parameters that any ROS 2 node has, with their types; beside these, all that begin with `QOS_OVERRIDES`."""

QOS_OVERRIDES = "qos_overrides."

MOST_CHARACTERS = 4096
"""Of a text, as many as the longest path has: parameters are set over the network."""

MOST_TEXTS = 256
"""Of a list."""


class ParameterError(ValueError):
    """A value is none that a parameter may have; the message names both."""


class Range(NamedTuple):
    """The values that a number may have."""

    least: float
    """Included."""
    most: float
    """Included."""
    unit: str
    """What they are counted in."""


@dataclass(frozen=True)
class ParameterSpec:
    """One parameter of the node: what it may be, and when it may change."""

    name: str
    """As users write it; dots nest in a YAML file."""
    default: ParameterValue
    """Its type is the parameter's type."""
    description: str
    """A sentence or two."""
    within: Range | None = None
    """Where a number must lie."""
    choices: tuple[str, ...] = ()
    """The values that a text may have, if only some make sense."""
    settable: Literal["always", "unconfigured", "start"] = "always"
    """When it can be set: at any time, while the node is not configured, or at the start only."""

    @property
    def read_only(self) -> bool:
        """Whether it can be set at the start only."""
        return self.settable == "start"

    def when(self) -> str:
        """When it can be set, in words; empty if always."""
        return {"always": "", "unconfigured": "before configure", "start": "read-only"}[self.settable]

    def constraint(self) -> str:
        """Which values are allowed, in words; empty if all of its type are."""
        if self.choices:
            return "one of " + ", ".join(self.choices)
        return f"from {self.within.least} to {self.within.most}" if self.within else ""

    def check(self, value: object) -> None:
        """Make sure that the parameter may have this value.

        As in rcl, an integer is no floating-point number.

        Raises:
            ParameterError: it may not.
        """
        kind = type(self.default)
        if type(value) is not kind:
            hint = f"; write {value}.0" if kind is float and type(value) is int else ""
            raise ParameterError(
                f"{self.name} must be of type {kind.__name__}, got {bounded(repr(value))}{hint}"
            )
        if isinstance(value, list) and not all(isinstance(each, str) for each in value):
            raise ParameterError(f"{self.name} must be a list of texts, got {bounded(repr(value))}")
        texts = value if isinstance(value, list) else [value] if isinstance(value, str) else []
        longest = max(map(len, texts), default=0)
        if len(texts) > MOST_TEXTS or longest > MOST_CHARACTERS:
            raise ParameterError(
                f"{self.name} must have at most {MOST_TEXTS} texts of at most {MOST_CHARACTERS} characters, "
                f"got {len(texts)}, the longest of {longest}"
            )
        if self.choices and value not in self.choices:
            raise ParameterError(f"{self.name} must be {self.constraint()}, got {bounded(repr(value))}")
        if isinstance(value, (int, float)) and self.within:
            if not self.within.least <= value <= self.within.most:
                raise ParameterError(f"{self.name} must be {self.constraint()}, got {value!r}")


PARAMETERS = (
    ParameterSpec(
        "autostart",
        True,
        "Whether the node configures and activates itself. If not, a lifecycle manager does, or "
        "`ros2 lifecycle set /perception configure` and `activate`.",
        settable="start",
    ),
    ParameterSpec(
        "bond_heartbeat_period",
        0.0,
        "Time between two heartbeats of the bond with a lifecycle manager that wants one while the node is "
        "active; Nav2's does unless its bond_timeout is 0, and 0.25 suits it. 0: no bond.",
        within=Range(0.0, 2.0, "seconds"),
        settable="unconfigured",
    ),
    ParameterSpec(
        "models",
        ["tabletop/fine_grained_action", "tabletop/atomic_action", "tabletop/object"],
        "The heads, one for each task: folders, names of bundled heads, or names on the Hugging Face hub.",
    ),
    ParameterSpec(
        "model_roots",
        [""],
        "Where `models` and `backbone` may come from when they are set once the node has started: folders, "
        "with a slash in their names, and owners on the Hugging Face hub, without. One empty name: the "
        "folders that the models given at the start lie in, or their owners. Those given at the start and "
        "the bundled ones always may.",
        settable="start",
    ),
    ParameterSpec(
        "tasks",
        ["all"],
        "The tasks that are answered, of those that there are heads for. The one word `all` is all of them.",
    ),
    ParameterSpec(
        "cameras",
        [""],
        "Names of several cameras in one node, such as [front, wrist]: each has its images on `front/image`, "
        "its labels on ~/front/<task>, and its own diagnostics. A camera may have its own image_transport "
        "and image_reliability, as front.image_transport. One empty name is a single camera with plain "
        "names.",
        settable="unconfigured",
    ),
    ParameterSpec(
        "backbone",
        "",
        "The backbone that all heads were trained on: a folder or a hub name. Empty: the folder `backbone` "
        "beside the first head's folder, or else the one that the head's config names.",
        settable="unconfigured",
    ),
    ParameterSpec(
        "engine",
        "auto",
        "What runs the backbone. auto: the fastest that is installed and whose tokens are those of PyTorch "
        "in float32. With any other that cannot be had, the node does not start.",
        # Those of step_ros.backbones.engines, which --help does not wait for.
        choices=("auto", "tensorrt", "inductor", "openvino", "onnxruntime", "eager"),
        settable="unconfigured",
    ),
    ParameterSpec(
        "device",
        "auto",
        "Where the models run, as PyTorch names it: cpu, cuda:0. auto: the first GPU if there is one.",
        settable="unconfigured",
    ),
    ParameterSpec(
        "num_threads",
        0,
        "CPU threads for inference. 0: PyTorch's own choice.",
        within=Range(0, 1024, "threads"),
        settable="unconfigured",
    ),
    ParameterSpec(
        "heads_mode",
        "fast",
        "How heads stream. fast: large products in bfloat16, to 0.002 of the plain heads' logits. float32: "
        "to 0.00001, slower.",
        choices=("fast", "float32"),
        settable="unconfigured",
    ),
    ParameterSpec(
        "heads_memory_mb",
        1024.0,
        "Most memory that the heads of one camera may take to stream. Those that would need more run as "
        "plain heads, with the same labels. 0: all of them do.",
        within=Range(0.0, 1048576.0, "mebibytes"),
        settable="unconfigured",
    ),
    ParameterSpec(
        "image_transport",
        "raw",
        "raw: subscribes sensor_msgs/Image on `image`. compressed: subscribes sensor_msgs/CompressedImage "
        "on `image/compressed`.",
        choices=("raw", "compressed"),
        settable="unconfigured",
    ),
    ParameterSpec(
        "image_reliability",
        "auto",
        "Reliability of the image subscription. auto: reliable while every publisher offers it, so that "
        "large images arrive, else best_effort, so that every camera is heard.",
        choices=("auto", "reliable", "best_effort"),
        settable="unconfigured",
    ),
    ParameterSpec(
        "image_queue_size",
        2,
        "Images that may wait to be decoded. When more would, the oldest is dropped and counted as "
        "dropped.decode_overload.",
        within=Range(1, 1000, "messages"),
        settable="unconfigured",
    ),
    ParameterSpec(
        "max_image_pixels",
        64_000_000,
        "Larger images are refused, as the cause too_large.",
        within=Range(1, 2**31 - 1, "pixels"),
    ),
    ParameterSpec(
        "queue_size",
        2,
        "Selected frames that may wait for the backbone. When more would, the oldest is dropped and counted "
        "as dropped.overload.",
        within=Range(1, 1000, "frames"),
        settable="unconfigured",
    ),
    ParameterSpec(
        "max_held",
        -1,
        "Positions of a window that may show an older frame, because none came in time, before there is no "
        "answer. -1: half of the window.",
        within=Range(-1, 4096, "positions"),
    ),
    ParameterSpec(
        "window_seconds",
        0.0,
        "Time that a window spans, for actions that are slower or faster here than in training; changing it "
        "empties the window. 0: what the heads were trained on.",
        within=Range(0.0, 600.0, "seconds"),
    ),
    ParameterSpec(
        "max_update_rate",
        0.0,
        "Most updates of the labels of one camera. 0: one for each step of the window.",
        within=Range(0.0, 1000.0, "hertz"),
    ),
    ParameterSpec(
        "top_k",
        3,
        "Labels in each Classification, the most probable first.",
        within=Range(1, 65535, "labels"),
    ),
    ParameterSpec(
        "filter.on_seconds",
        0.6,
        "How long a label must be the best without a break before ~/<task>/stable changes to it.",
        within=Range(0.0, 60.0, "seconds"),
    ),
    ParameterSpec(
        "filter.off_seconds",
        0.5,
        "How long the label on ~/<task>/stable must be below the threshold before it is taken back.",
        within=Range(0.0, 60.0, "seconds"),
    ),
    ParameterSpec(
        "filter.threshold",
        0.5,
        "Probability that a label needs to count for ~/<task>/stable.",
        within=Range(0.0, 1.0, "probability"),
    ),
    ParameterSpec(
        "direction.max_rate",
        2.0,
        "Most checks of a label's direction, in which heads read the window backwards; they are on "
        "~/<task>/direction. 0: none.",
        within=Range(0.0, 1000.0, "hertz"),
    ),
    ParameterSpec(
        "staleness.timeout",
        0.7,
        "Without a new label for that long, labels are stale: ~/<task>/stable is taken back and diagnostics "
        "turn to ERROR. Never less than two steps of the window.",
        within=Range(0.1, 3600.0, "seconds"),
    ),
    ParameterSpec(
        "staleness.max_age",
        1.0,
        "Labels of images whose stamps are further than that from this node's clock, in either direction, "
        "are not published. 0: stamps are not compared with the clock.",
        within=Range(0.0, 3600.0, "seconds"),
    ),
    ParameterSpec(
        "watchdog.timeout",
        10.0,
        "A pass of the backbone or a head that takes longer hangs: it is abandoned, and the engine replaced.",
        within=Range(0.1, 3600.0, "seconds"),
    ),
    ParameterSpec(
        "annotated_image.max_rate",
        15.0,
        "Most images a second on ~/annotated_image/compressed. They are drawn only while somebody listens.",
        within=Range(0.1, 240.0, "hertz"),
    ),
    ParameterSpec(
        "annotated_image.max_width",
        640,
        "Wider images are made smaller before they are drawn on.",
        within=Range(64, 8192, "pixels"),
    ),
    ParameterSpec(
        "annotated_image.attention",
        "",
        "The task whose head's attention is laid over the picture, such as atomic_action. Empty: none.",
    ),
    ParameterSpec(
        "annotated_image.jpeg_quality",
        80,
        "JPEG quality of the annotated image.",
        within=Range(1, 100, "percent"),
    ),
    ParameterSpec(
        "diagnostics.period",
        1.0,
        "Time between two messages on /diagnostics.",
        within=Range(0.05, 60.0, "seconds"),
        settable="start",
    ),
    ParameterSpec(
        "diagnostics.latency_warning",
        200.0,
        "A 99th percentile of the time from an image's stamp to its labels above this is a warning.",
        within=Range(1.0, 60000.0, "milliseconds"),
    ),
)

BY_NAME = {spec.name: spec for spec in PARAMETERS}

EACH_CAMERA = ("image_transport", "image_reliability")
"""What one of several cameras may have of its own: ``front.image_transport`` beside ``image_transport``."""


def specs_of_cameras(cameras: Iterable[str]) -> list[ParameterSpec]:
    """The parameters that these cameras may have of their own."""
    return [
        replace(BY_NAME[name], name=f"{camera}.{name}")
        for camera in cameras
        if camera
        for name in EACH_CAMERA
    ]


def spec_of(name: str) -> ParameterSpec | None:
    """What a parameter may be, one of a camera's own among them; None if the node has none of that name."""
    camera, _, shared = name.rpartition(".")
    if camera and shared in EACH_CAMERA:
        return replace(BY_NAME[shared], name=name)
    return BY_NAME.get(name)


def unknown_names(given: Iterable[str], cameras: Iterable[str] = ()) -> str:
    """The names that the node has no parameter of, each with the one that was probably meant.

    Such a name is a typing error, or meant for another node.

    Args:
        given: names.
        cameras: the node's, which may have parameters of their own.

    Returns:
        Words for a warning; empty if there are none.
    """
    words = []
    own = [spec.name for spec in specs_of_cameras(cameras)]
    for name in sorted(given):
        if name in BY_NAME or name in own or name in OF_EVERY_NODE or name.startswith(QOS_OVERRIDES):
            continue
        nearest = difflib.get_close_matches(name, [*BY_NAME, *own], n=1)
        words.append(f"{name} (did you mean {nearest[0]}?)" if nearest else name)
    return ", ".join(words)


def describe_parameters() -> str:
    """Every parameter, for `--help`."""
    lines = []
    for spec in PARAMETERS:
        default = f"[{', '.join(spec.default)}]" if isinstance(spec.default, list) else repr(spec.default)
        facts = [f"default {default}", spec.constraint(), spec.within and spec.within.unit, spec.when()]
        lines += [f"  {spec.name}", f"      {spec.description}", f"      ({'; '.join(filter(None, facts))})"]
    return "\n".join(lines)
