"""Which cases are measured: along one axis at a time, from the one that the targets are about."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from step_ros.benchmark.row import Case
from step_ros.benchmark.video_models import VIDEO_MODELS

_OURS = ("recompute", "cached", "streaming")


@dataclass(frozen=True)
class Preset:
    """A list of cases for a kind of machine."""

    device: str
    """Where it runs, as torch names it."""
    cases: tuple[Case, ...]
    """The most important first; a backbone is loaded for a row of cases that share it."""
    seconds: float
    """About how long each case is measured; three updates of each method are made in any case."""
    limit_seconds: float
    """Cases that have not begun by then are left out, and named."""


PRESETS: Mapping[str, Preset] = {
    "cpu": Preset(
        "cpu",
        (
            *(Case("vits14", 16, tasks, _OURS) for tasks in (3, 1, 2, 4, 5, 6)),
            *(Case("vits14", frames, 3, _OURS) for frames in (8, 32)),
            *(Case("vits14", 16, tasks, ("multi_pass",)) for tasks in (1, 3, 6)),
            *(Case("vits14", 16, 3, ("streaming",), cameras) for cameras in (2, 4)),
            Case("vitb14", 16, 3, (*_OURS, "multi_pass")),
            Case("vitl14", 16, 3, _OURS),
            *(Case("vits14", 16, 1, (name,)) for name in VIDEO_MODELS),
        ),
        seconds=6.0,
        limit_seconds=540.0,
    ),
    "gpu": Preset(
        "cuda",
        (
            Case("vitb14", 16, 3, (*_OURS, "multi_pass")),
            *(Case("vitb14", 16, 3, ("streaming",), cameras) for cameras in (16, 4)),
            *(Case("vitb14", 16, tasks, (*_OURS, "multi_pass")) for tasks in (1, 6)),
            *(Case("vitb14", frames, 3, _OURS) for frames in (8, 32)),
            *(Case("vitb14", 16, 3, ("streaming",), cameras) for cameras in (2, 8)),
            *(Case("vitb14", 16, tasks, (*_OURS, "multi_pass")) for tasks in (2, 4, 5)),
            *(Case(backbone, 16, 3, (*_OURS, "multi_pass")) for backbone in ("vits14", "vitl14")),
            *(Case("vitb14", 16, 1, (name,)) for name in VIDEO_MODELS),
        ),
        seconds=5.0,
        limit_seconds=3600.0,
    ),
}
