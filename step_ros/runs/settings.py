"""What a replay takes from the node's parameter file, so that both do the same."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import Any

import yaml

from step_ros.perception import FilterSettings, Perceiver
from step_ros.perception.loading import load_perceiver
from step_ros.shared_files import shared_folder

NODE = "perception"

NOT_FOLLOWED = ("tasks", "window_seconds", "max_update_rate", "cameras")
"""Parameters that change what a node says, and that a replay does not follow."""

_log = logging.getLogger(__name__)


class SettingsError(ValueError):
    """A parameter file cannot be used; the message names it."""


@dataclass(frozen=True)
class ReplaySettings:
    """The node's parameters that decide what it says; ``config/perception.yaml`` explains them."""

    models: tuple[str, ...]
    """The heads: folders, names of bundled heads, or hub names."""
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
    max_image_pixels: int
    """Larger images are refused."""
    top_k: int
    """Labels in each Classification."""
    filter: FilterSettings
    """Of the stable labels."""

    def to_json(self) -> dict[str, Any]:
        """The parameters by the node's names."""
        own = {field.name: getattr(self, field.name) for field in fields(self) if field.name != "filter"}
        return own | {f"filter.{name}": value for name, value in asdict(self.filter).items()}

    def load(self) -> Perceiver:
        """The pipeline, warmed up; raises what `load_perceiver` does."""
        perceiver = load_perceiver(
            self.models,
            backbone=self.backbone or None,
            device=self.device,
            engine=self.engine,
            max_held=None if self.max_held < 0 else self.max_held,
            heads_mode=self.heads_mode,
            heads_memory_mb=self.heads_memory_mb,
        )
        perceiver.warm_up()
        return perceiver


def read_settings(path: Path | None = None, **changes: Any) -> ReplaySettings:
    """The settings in a parameter file of the node; what it does not name has the node's default.

    Args:
        path: as for ``--params-file``; None takes the defaults.
        changes: parameters that take the place of the file's; None changes nothing.

    Raises:
        SettingsError: the file cannot be read or is no parameter file, or a value has the wrong type.
    """
    defaults = _parameters(shared_folder() / "config" / "perception.yaml")
    given = _parameters(path) if path is not None else {}
    given |= {name: value for name, value in changes.items() if value is not None}
    for name in NOT_FOLLOWED:
        if name in given and given[name] != defaults.get(name):
            _log.warning("%s: a replay does not follow %s = %s", path, name, given[name])
    unknown = sorted(set(given) - set(defaults) - set(NOT_FOLLOWED))
    if unknown:
        _log.warning(
            "%s: the node has no such parameters, so they change nothing: %s", path, ", ".join(unknown)
        )
    for name, value in given.items():
        if name in defaults and not _same_type(value, defaults[name]):
            raise SettingsError(
                f"{path}: {name} must be of type {type(defaults[name]).__name__}, got {value!r}"
            )
    values = {**defaults, **given}
    return ReplaySettings(
        models=tuple(values["models"]),
        filter=FilterSettings(
            **{field.name: values[f"filter.{field.name}"] for field in fields(FilterSettings)}
        ),
        **{
            field.name: values[field.name]
            for field in fields(ReplaySettings)
            if field.name not in ("models", "filter")
        },
    )


def _same_type(value: object, default: object) -> bool:
    if isinstance(default, float):
        return isinstance(value, (int, float)) and not isinstance(value, bool)
    return isinstance(value, (list, tuple)) if isinstance(default, list) else type(value) is type(default)


def _parameters(path: Path) -> dict[str, Any]:
    """Name to value of what a ROS 2 parameter file says to a node `NODE`, whatever its namespace."""
    try:
        content = yaml.safe_load(path.read_text(encoding="utf-8"))
    except (OSError, yaml.YAMLError) as error:
        raise SettingsError(f"{path} cannot be read as a parameter file: {error}") from error
    if not isinstance(content, dict):
        raise SettingsError(f"{path} is no parameter file; expected '/**: {{ros__parameters: ...}}'")
    found: dict[str, Any] = {}
    for node, body in content.items():
        if str(node).rpartition("/")[2] in (NODE, "*", "**"):
            if not isinstance(body, dict) or not isinstance(body.get("ros__parameters"), dict):
                raise SettingsError(f"{path}: {node} has no ros__parameters")
            found |= _flat(body["ros__parameters"])
    if not found:
        raise SettingsError(
            f"{path} says nothing to a node {NODE!r}; it names {', '.join(map(str, content))}"
        )
    return found


def _flat(parameters: Mapping[str, Any], prefix: str = "") -> dict[str, Any]:
    flat: dict[str, Any] = {}
    for name, value in parameters.items():
        flat |= _flat(value, f"{prefix}{name}.") if isinstance(value, dict) else {f"{prefix}{name}": value}
    return flat
