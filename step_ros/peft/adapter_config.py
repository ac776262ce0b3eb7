"""Which adapter, how large, for how many frames."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

from step_ros.peft.adapter import Adapter
from step_ros.peft.adaptformer import AdaptFormer
from step_ros.peft.vpt import VptDeep, VptShallow

ADAPTERS: Mapping[str, type[Adapter]] = {
    "vpt_shallow": VptShallow,
    "vpt_deep": VptDeep,
    "adaptformer": AdaptFormer,
}
"""Those that the node can run, where tokens of a frame depend on no other, by the names that commands and
folders use. What looks up a name takes such a table; who has other adapters gives one that holds them."""

# Far above any real adapter; they keep a broken config from asking for sizes that overflow.
_MAX_SIZE, _MAX_FRAMES = 65_536, 4_096


class AdapterError(ValueError):
    """An adapter does not make sense, or does not fit; the message says what was found and expected."""


@dataclass(frozen=True)
class AdapterConfig:
    """Everything about an adapter but its weights and its backbone.

    Raises:
        AdapterError: on construction, naming the field that makes no sense.
    """

    kind: str
    """Its name in a table of adapters."""
    size: int
    """Prompts (VPT, and Vita-CLIP's global ones), or channels of the bottleneck (the others)."""
    num_frames: int = 1
    """T, frames of a window, of adapters that see time; 1 for the others."""

    def __post_init__(self) -> None:
        """Check every field."""
        if not isinstance(self.kind, str):
            raise AdapterError(f"kind must be an adapter's name, got {self.kind!r}")
        _check_count("size", self.size, _MAX_SIZE)
        _check_count("num_frames", self.num_frames, _MAX_FRAMES)

    @classmethod
    def of(
        cls,
        kind: str,
        *,
        size: int | None = None,
        num_frames: int,
        adapters: Mapping[str, type[Adapter]] = ADAPTERS,
    ) -> AdapterConfig:
        """An adapter of this kind, as large as published unless `size` is given, for windows of T frames.

        Raises:
            AdapterError: there is no such adapter among `adapters`, or a number makes no sense.
        """
        check_kind(kind, adapters)
        chosen = adapters[kind].published_size if size is None else size
        config = cls(kind, chosen, num_frames if adapters[kind].sees_time else 1)
        config.find(adapters)
        return config

    def find(self, adapters: Mapping[str, type[Adapter]] = ADAPTERS) -> type[Adapter]:
        """The adapter that this is the config of.

        Raises:
            AdapterError: there is none of its name among `adapters`, or it looks at other frames.
        """
        check_kind(self.kind, adapters)
        adapter = adapters[self.kind]
        if adapter.sees_time != self.sees_time:
            wanted = "windows of 2 frames or more" if adapter.sees_time else "single frames, num_frames=1"
            raise AdapterError(f"{self.kind} looks at {wanted}, got num_frames={self.num_frames}")
        return adapter

    @property
    def sees_time(self) -> bool:
        """Whether tokens of a frame depend on the other frames of its window."""
        return self.num_frames > 1

    def to_json(self) -> dict[str, Any]:
        """The config as config.json holds it."""
        return asdict(self)

    @classmethod
    def from_json(cls, content: object) -> AdapterConfig:
        """Build a config from what config.json holds.

        Raises:
            AdapterError: a field is missing, unknown or makes no sense.
        """
        if not isinstance(content, Mapping):
            raise AdapterError(f"adapter must be a JSON object, got {type(content).__name__}")
        try:
            return cls(**content)
        except TypeError as error:
            raise AdapterError(f"adapter cannot be read: {error}") from error


def check_kind(kind: str, adapters: Mapping[str, type[Adapter]] = ADAPTERS) -> None:
    """Make sure that a table has an adapter of this name.

    Raises:
        AdapterError: it has none; the message says which there are.
    """
    if kind not in adapters:
        raise AdapterError(f"unknown adapter {kind!r}; known are {', '.join(adapters)}")


def _check_count(name: str, value: object, maximum: int) -> None:
    if isinstance(value, bool) or not isinstance(value, int) or not 1 <= value <= maximum:
        raise AdapterError(f"{name} must be a whole number from 1 to {maximum}, got {value!r}")
