"""What a replay takes from the node's parameter file, so that both do the same."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import Any

from step_ros.perception import FilterSettings, Perceiver
from step_ros.perception.camera_names import camera_names, check_unlike_tasks
from step_ros.perception.loading import chosen_tasks, load_perceiver
from step_ros.runs.parameter_file import ParameterFile, SettingsError, read_parameter_file
from step_ros.runs.parameters import (
    BY_NAME,
    OF_EVERY_NODE,
    PARAMETERS,
    ParameterError,
    specs_of_cameras,
    unknown_names,
)

NODE = "perception"

NO_PART = {
    "autostart": "a replay has no lifecycle",
    "model_roots": "nobody sets a parameter of a replay",
    "num_threads": "speed alone",
    "image_reliability": "a recording loses nothing on its way",
    "image_queue_size": "a replay waits where a node must drop",
    "queue_size": "a replay waits where a node must drop",
    "bond_heartbeat_period": "nobody manages a replay",
    "staleness.max_age": "a recording has no clock that could be wrong",
    "watchdog.timeout": "nothing is given up for taking long",
    "annotated_image.max_rate": "pictures",
    "annotated_image.max_width": "pictures",
    "annotated_image.attention": "pictures",
    "annotated_image.jpeg_quality": "pictures",
    "diagnostics.period": "there are no diagnostics",
    "diagnostics.latency_warning": "there are no diagnostics",
}
"""Parameters that have no part in what is said of a recording by a machine that keeps up, and why.

But `staleness.max_age` has one where it is stricter than by default, see `_refuse_strict_age`.
"""

_log = logging.getLogger(__name__)

__all__ = ["NODE", "NO_PART", "ReplaySettings", "SettingsError", "read_settings"]


@dataclass(frozen=True)
class ReplaySettings:
    """The node's parameters that decide what it says; ``config/perception.yaml`` explains them."""

    node: str
    """Full name of the node whose they are."""
    models: tuple[str, ...]
    """The heads: folders, names of bundled heads, or hub names."""
    tasks: tuple[str, ...]
    """The tasks that are answered; ``all`` for all that there are heads for."""
    cameras: tuple[str, ...]
    """Names of the cameras; one empty name is a single camera."""
    image_transport: str
    """Which of a named camera's image topics the node listens to, unless the camera has its own."""
    camera_transports: tuple[str, ...]
    """The same for each of the cameras."""
    backbone: str
    """Folder or name; empty takes the heads' own."""
    engine: str
    """What runs the backbone."""
    device: str
    """Where the models run."""
    heads_mode: str
    """How heads stream."""
    heads_memory_mb: float
    """Most memory that they may take for it."""
    max_held: int
    """Positions of a window that may be held; -1 for half of it."""
    window_seconds: float
    """Time that a window spans; 0 for what the heads were trained on."""
    max_update_rate: float
    """Most updates a second; 0 for one a step of the window."""
    max_image_pixels: int
    """Larger images are refused."""
    top_k: int
    """Labels in each Classification."""
    filter: FilterSettings
    """Of the stable labels."""
    direction_max_rate: float
    """Most checks of a label's direction a second; 0 for none."""
    staleness_timeout: float
    """Seconds without a label after which stable labels are taken back."""

    def load(self) -> Perceiver:
        """The pipeline, warmed up.

        Raises:
            ValueError, RuntimeError, OSError: as `load_perceiver` does, or `tasks`, `cameras`, `max_held` or
                `window_seconds` do not fit the heads; the message says why.
        """
        loaded = load_perceiver(
            self.models,
            backbone=self.backbone or None,
            device=self.device,
            engine=self.engine,
            heads_memory_mb=0,  # of these, only the tasks that are on stream
        )
        heads = chosen_tasks(loaded.heads, self.tasks)
        check_unlike_tasks(self.cameras, heads)
        perceiver = Perceiver(
            loaded.backbone,
            heads,
            max_held=None if self.max_held < 0 else self.max_held,
            window_seconds=self.window_seconds or None,
            heads_mode=self.heads_mode,
            heads_memory_mb=self.heads_memory_mb,
        )
        perceiver.warm_up()
        return perceiver

    def to_json(self) -> dict[str, Any]:
        """The parameters by the node's names; `read_settings` takes them back."""
        own = {name: value for name, value in vars(self).items() if name in BY_NAME}
        for camera, transport in zip(self.cameras, self.camera_transports, strict=True):
            if transport != self.image_transport:
                own[f"{camera}.image_transport"] = transport
        own |= {f"filter.{name}": value for name, value in asdict(self.filter).items()}
        own |= {"direction.max_rate": self.direction_max_rate, "staleness.timeout": self.staleness_timeout}
        return {name: list(value) if isinstance(value, tuple) else value for name, value in own.items()}


def read_settings(path: Path | None = None, *, node: str | None = None, **changes: Any) -> ReplaySettings:
    """The settings in a parameter file of the node; what it does not name has the node's default.

    A parameter that the node does not have is named in a warning, as the node itself does.

    Args:
        path: as for ``--params-file``; None takes the defaults.
        node: full name of the node, such as ``/robot/perception``. By default the only one called `NODE` that
            the file names, or else ``/perception``.
        changes: parameters that take the place of the file's; None changes nothing.

    Raises:
        SettingsError: the file cannot be read, is no parameter file, says nothing to the node, or has a value
            that the node would refuse; or it names several nodes and none was chosen.
    """
    given: dict[str, Any] = {}
    node = "/" + node.strip("/") if node else ""
    if path is not None:
        file = read_parameter_file(path)
        node = node or _node_of(file)
        given |= file.said_to(node)
        if not given:
            names = ", ".join(file.sections)
            raise SettingsError(f"{path} says nothing to a node {node.strip('/')!r}; it names {names}")
    given |= {name: value for name, value in changes.items() if value is not None}
    given = {name: list(value) if isinstance(value, tuple) else value for name, value in given.items()}
    where = f"{path}: " if path is not None else ""
    try:
        values = _checked(given)
        if unknown := unknown_names(given, values["cameras"]):
            _log.warning("%sthe node has no such parameters, so they change nothing: %s", where, unknown)
        _refuse_strict_age(values["staleness.max_age"])
        cameras = camera_names(values["cameras"])
    except ValueError as error:
        raise SettingsError(f"{where}{error}") from error
    values = {name: tuple(value) if isinstance(value, list) else value for name, value in values.items()}
    own = {field.name: values[field.name] for field in fields(ReplaySettings) if field.name in values}
    return ReplaySettings(
        **own | {"cameras": tuple(cameras)},
        camera_transports=tuple(
            given.get(f"{camera}.image_transport", values["image_transport"]) for camera in cameras
        ),
        node=node or f"/{NODE}",
        filter=FilterSettings(
            values["filter.on_seconds"], values["filter.off_seconds"], values["filter.threshold"]
        ),
        direction_max_rate=values["direction.max_rate"],
        staleness_timeout=values["staleness.timeout"],
    )


def _node_of(file: ParameterFile) -> str:
    called = file.nodes_called(NODE)
    if len(called) > 1:
        names = ", ".join(called)
        raise SettingsError(f"{file.path} speaks to several nodes; choose one of them with --node: {names}")
    return called[0] if called else f"/{NODE}"


def _refuse_strict_age(max_age: float) -> None:
    """Make sure that a node withholds nothing for its age that a replay says.

    By default, or with more, that happens only where clocks are wrong. Less also withholds what is fresh but
    slow on its way or to compute, which a recording does not tell.

    Raises:
        ParameterError: it might.
    """
    default = BY_NAME["staleness.max_age"].default
    if isinstance(default, float) and 0 < max_age < default:
        raise ParameterError(
            f"a replay cannot follow staleness.max_age: {max_age}; below {default} s the node also withholds "
            "labels for what it takes to get and to compute them, which a recording does not tell. Leave it "
            "out, or set it to 0.0"
        )


def _checked(given: Mapping[str, Any]) -> dict[str, Any]:
    """Every parameter's value.

    Raises:
        ParameterError: one is none that the node takes.
    """
    for name, kind in OF_EVERY_NODE.items():
        if name in given and type(given[name]) is not kind:
            raise ParameterError(f"{name} must be of type {kind.__name__}, got {given[name]!r}")
    values = {spec.name: given.get(spec.name, spec.default) for spec in PARAMETERS}
    for spec in PARAMETERS:
        spec.check(values[spec.name])
    for spec in specs_of_cameras(values["cameras"]):
        if spec.name in given:
            spec.check(given[spec.name])
    return values
