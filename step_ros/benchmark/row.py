"""What is measured, and what comes out: a case in, a row out."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True)
class Case:
    """One setting in which methods are compared."""

    backbone: str
    """One of `models.BACKBONES`."""
    frames: int
    """T, frames in a window."""
    tasks: int
    """Heads on the same tokens."""
    methods: tuple[str, ...]
    """Names of `methods.METHODS` or `video_models.VIDEO_MODELS`."""
    cameras: int = 1
    """Streams of frames, each with a window of its own."""

    def __str__(self) -> str:
        methods = ", ".join(self.methods)
        return f"{self.backbone}, T = {self.frames}, tasks: {self.tasks}, cameras: {self.cameras}: {methods}"


@dataclass(frozen=True)
class Row:
    """What one method costs in one case.

    An update is a frame of each camera in, and all tasks' probabilities out.
    """

    method: str
    """``recompute``, ``cached``, ``streaming``, ``multi_pass``, or a video model's name."""
    backbone: str
    """The case's."""
    engine: str
    """What ran it, with its type: ``openvino bfloat16``."""
    frames: int
    """T, frames in a window."""
    tasks: int
    """Heads on the same tokens."""
    cameras: int
    """Streams of frames."""
    updates: int
    """How many updates were measured."""
    median_ms: float
    """Milliseconds from uint8 frames in memory to probabilities on the host, median, on an idle device."""
    best_ms: float
    """The fastest update: on a machine that is not quiet this one tells what the code costs."""
    p99_ms: float
    """The 99th percentile; of fewer than a hundred updates the slowest."""
    updates_per_second: float
    """From the median; on a GPU of updates that follow each other at once, with all that is done ahead."""
    flops: int
    """Floating-point operations of an update's matrix products, as torch's FlopCounterMode counts them."""
    peak_mb: float
    """MiB that the backbone's engine and the method hold at most: resident memory, or the GPU's."""
    roofline_fraction: float
    """The least time that the device could take, over that from one update to the next."""
    heads_memory_mb: float
    """MiB that streaming heads keep, all allocated beforehand; 0 for the other methods."""
    error: float | None
    """Largest difference from `recompute`'s logits over their largest, in the newest window; None where there
    is nothing to compare."""

    @classmethod
    def from_json(cls, content: Mapping[str, Any]) -> Row:
        """A row of a file."""
        return cls(**content)
