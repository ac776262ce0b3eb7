"""What a head's config.json says, and the checks that it makes sense."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, fields
from typing import Any, TypeVar

from step_ros.backbones.identity import BackboneIdentity
from step_ros.bounded_text import bounded
from step_ros.frames.clip import ClipSpec
from step_ros.frames.plain_text import unprintable
from step_ros.probes.kinds import NORMALIZATIONS, PROBE_KINDS
from step_ros.probes.step_options import StepOptions
from step_ros.probes.token_pooling import TokenPooling, patch_grid

# Far above any real head; they keep a broken config from asking for sizes that overflow.
_MAX_DIM = 65_536
_MAX_FRAMES = 4_096
_MAX_PATCHES = 2**20

_MAX_LABEL = 1_000
"""Characters of a label, which goes out with every update."""

_TEMPERATURES = (1e-6, 1e6)
"""Far beyond any calibration; within them a quotient of logits is a number in float32."""

TASK_NAME = re.compile(r"[A-Za-z][A-Za-z0-9_]*\Z")
_SHA256 = re.compile(r"[0-9a-f]{64}\Z")

Record = TypeVar("Record")


class HeadError(ValueError):
    """A head, its files or its backbone do not fit; the message says what was found and expected."""


@dataclass(frozen=True)
class ProbeConfig:
    """The probe's architecture."""

    dim: int
    """D, channels of a token."""
    num_heads: int
    """H, attention heads; divides `dim`."""
    kind: str = "step"
    """One of `PROBE_KINDS`."""
    normalization: str = "layer_norm"
    """What is done to tokens first, one of `NORMALIZATIONS`."""
    token_pooling: int = 1
    """Side of the squares of patches whose tokens are averaged, before they are normalised."""
    options: StepOptions = StepOptions()
    """How a "step" probe differs from STEP; other kinds have none."""

    def __post_init__(self) -> None:
        """Check names and sizes."""
        _check_choice("probe.kind", self.kind, PROBE_KINDS)
        _check_choice("probe.normalization", self.normalization, NORMALIZATIONS)
        _check_count("probe.dim", self.dim, _MAX_DIM)
        _check_count("probe.num_heads", self.num_heads, _MAX_DIM)
        _check_count("probe.token_pooling", self.token_pooling, _MAX_DIM)
        if self.kind != "step" and self.options != StepOptions():
            raise HeadError(f"probe.options are STEP's, but probe.kind is {self.kind!r}")
        if self.dim % self.num_heads:
            raise HeadError(
                f"probe.num_heads must divide probe.dim, got num_heads={self.num_heads} and dim={self.dim}"
            )


@dataclass(frozen=True)
class HeadConfig:
    """Everything about a head but its weights.

    Raises:
        HeadError: on construction, naming the field that makes no sense.
    """

    task: str
    """What the head answers, e.g. ``atomic_action``; it becomes part of a ROS topic name."""
    labels: tuple[str, ...]
    """The K labels, in the order of the logits."""
    clip: ClipSpec
    """The window that the head sees."""
    probe: ProbeConfig
    """The probe's architecture."""
    backbone: BackboneIdentity
    """The backbone whose tokens the head was trained on, and the only one it works with."""
    symmetric_pairs: tuple[tuple[str, str], ...] = ()
    """Pairs of labels that are each other played backwards; no label is in two pairs."""
    idle_label: str | None = None
    """The label that means that nothing happens, if there is one."""
    temperature: float = 1.0
    """Logits are divided by it before the softmax (calibration)."""
    rejection_threshold: float = 0.0
    """A label whose probability is below it is not to be trusted; in [0, 1]."""

    def __post_init__(self) -> None:
        """Take lists for tuples, as JSON gives them, and check every field."""
        _check_list("labels", self.labels)
        _check_list("symmetric_pairs", self.symmetric_pairs)
        object.__setattr__(self, "labels", tuple(self.labels))
        object.__setattr__(self, "symmetric_pairs", tuple(_as_pair(pair) for pair in self.symmetric_pairs))
        if not isinstance(self.task, str) or not TASK_NAME.match(self.task):
            raise HeadError(
                "task must be a name of letters, digits and underscores such as 'atomic_action', "
                f"got {self.task!r}"
            )
        self._check_labels()
        _check_count("clip.num_frames", self.clip.num_frames, _MAX_FRAMES)
        if self.backbone.dim != self.probe.dim:
            raise HeadError(
                f"probe.dim must be the backbone's, got probe.dim={self.probe.dim} "
                f"and backbone.dim={self.backbone.dim}"
            )
        if self.probe.token_pooling > 1 or self.probe.kind == "moments":
            try:
                self.token_grid()
            except ValueError as error:
                raise HeadError(str(error)) from error
        lowest, highest = _TEMPERATURES
        if not _is_number(self.temperature) or not lowest <= self.temperature <= highest:
            raise HeadError(
                f"temperature must be a positive number, from {lowest:g} to {highest:g}, "
                f"got {self.temperature!r}"
            )
        if not _is_number(self.rejection_threshold) or not 0 <= self.rejection_threshold <= 1:
            raise HeadError(f"rejection_threshold must lie in [0, 1], got {self.rejection_threshold!r}")

    def _check_labels(self) -> None:
        for label in self.labels:
            if not isinstance(label, str) or not label:
                raise HeadError(f"labels must be non-empty strings, got {label!r}")
            if len(label) > _MAX_LABEL:
                raise HeadError(
                    f"labels must have at most {_MAX_LABEL} characters, got {bounded(label, 40)!r}"
                )
            if wrong := unprintable(label):
                raise HeadError(f"the label {label!r} holds {wrong}; labels are plain text")
        if len(self.labels) < 2:
            raise HeadError(f"a head needs at least 2 labels, got {list(self.labels)}")
        known = set(self.labels)
        repeated = sorted(label for label, count in Counter(self.labels).items() if count > 1)
        if repeated:
            raise HeadError(f"labels must be unique, got twice: {_some(repeated)}")
        paired: set[str] = set()
        for pair in self.symmetric_pairs:
            for label in pair:
                if label not in known:
                    raise HeadError(
                        f"symmetric pair {pair} names {label!r}, which is not a label of this head"
                    )
                if label in paired:
                    raise HeadError(
                        f"{label!r} is in more than one place of symmetric_pairs; pairs are disjoint"
                    )
                paired.add(label)
        if self.idle_label is not None and self.idle_label not in known:
            raise HeadError(
                f"idle_label {self.idle_label!r} is not a label of this head: {_some(self.labels)}"
            )

    def token_pooling(self) -> TokenPooling:
        """What averages the backbone's tokens for this head."""
        if self.probe.token_pooling == 1:  # whatever the patches' shape
            return TokenPooling(1, (1, self.backbone.num_patches))
        return TokenPooling(
            self.probe.token_pooling, patch_grid(self.backbone.image_size, self.backbone.num_patches)
        )

    def token_grid(self) -> tuple[int, int]:
        """Rows and columns of what is left of a frame's tokens.

        Raises:
            ValueError: the backbone's patches are not squares that fill its image, or cannot be pooled so.
        """
        grid = patch_grid(self.backbone.image_size, self.backbone.num_patches)
        side = TokenPooling(self.probe.token_pooling, grid).side
        return grid[0] // side, grid[1] // side

    def to_json(self) -> dict[str, Any]:
        """The config as config.json holds it."""
        return asdict(self)

    @classmethod
    def from_json(cls, content: object) -> HeadConfig:
        """Build a config from what config.json holds.

        Raises:
            HeadError: a field is missing, unknown or makes no sense.
        """
        values = dict(_as_mapping("the config", content))
        if isinstance(values.get("probe"), Mapping) and "options" in values["probe"]:
            options = _build(StepOptions, "probe.options", values["probe"]["options"])
            values["probe"] = {**values["probe"], "options": options}
        for name, part in (("clip", ClipSpec), ("probe", ProbeConfig), ("backbone", BackboneIdentity)):
            if name in values:
                values[name] = _build(part, name, values[name])
        return _build(cls, "the config", values)


def _build(cls: type[Record], where: str, content: object) -> Record:
    """A dataclass from a JSON object, with errors that name the place."""
    values = _as_mapping(where, content)
    known = {field.name for field in fields(cls)}  # type: ignore[arg-type]  # every caller passes a dataclass
    unknown = sorted(set(values) - known)
    if unknown:
        raise HeadError(f"{where} has unknown fields {unknown}; known are {sorted(known)}")
    try:
        built = cls(**values)
    except HeadError:
        raise
    except (TypeError, ValueError) as error:  # a missing field, or a value of the wrong type
        raise HeadError(f"{where} cannot be read: {error}") from error
    if isinstance(built, BackboneIdentity):
        _check_identity(built)
    return built


def _check_identity(identity: BackboneIdentity) -> None:
    if not isinstance(identity.id, str) or not identity.id:
        raise HeadError(f"backbone.id must be a non-empty string, got {identity.id!r}")
    if len(identity.image_size) != 2:
        raise HeadError(f"backbone.image_size must be [height, width], got {list(identity.image_size)}")
    for size in identity.image_size:
        _check_count("backbone.image_size", size, _MAX_DIM)
    _check_count("backbone.num_patches", identity.num_patches, _MAX_PATCHES)
    _check_count("backbone.dim", identity.dim, _MAX_DIM)
    if not isinstance(identity.sha256, str) or not _SHA256.match(identity.sha256):
        raise HeadError(f"backbone.sha256 must be 64 hexadecimal digits, got {identity.sha256!r}")
    if not isinstance(identity.preprocess, str):
        raise HeadError(f"backbone.preprocess must be a string, got {identity.preprocess!r}")
    if not isinstance(identity.source, str) or unprintable(identity.source):
        raise HeadError(f"backbone.source must be a folder or a hub name, got {identity.source!r}")


def _as_mapping(where: str, content: object) -> Mapping[str, Any]:
    if not isinstance(content, Mapping):
        raise HeadError(f"{where} must be a JSON object, got {type(content).__name__}")
    return content


def _check_list(name: str, value: object) -> None:
    if not isinstance(value, (list, tuple)):
        raise HeadError(f"{name} must be a list, got {value!r}")


def _as_pair(pair: Sequence[str]) -> tuple[str, str]:
    if not isinstance(pair, (list, tuple)) or len(pair) != 2:
        raise HeadError(f"a symmetric pair must be two labels, got {pair!r}")
    return pair[0], pair[1]


def _some(labels: Sequence[str]) -> str:
    return ", ".join(labels[:20]) + (f" and {len(labels) - 20} more" if len(labels) > 20 else "")


def _check_choice(name: str, value: object, choices: Sequence[str]) -> None:
    if value not in choices:
        raise HeadError(f"unknown {name} {value!r}; known are {', '.join(choices)}")


def _check_count(name: str, value: object, maximum: int) -> None:
    if isinstance(value, bool) or not isinstance(value, int) or not 1 <= value <= maximum:
        raise HeadError(f"{name} must be a whole number from 1 to {maximum}, got {value!r}")


def _is_number(value: object) -> bool:
    return isinstance(value, (int, float)) and not isinstance(value, bool)
