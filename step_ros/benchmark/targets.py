"""Whether a run reaches what streaming heads are meant to reach on two cores, or on a GPU."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from step_ros.benchmark.results import Results
from step_ros.benchmark.row import Row


@dataclass(frozen=True)
class Target:
    """What a machine was to reach, and whether it does."""

    what: str
    """In words."""
    wanted: str
    """For example ``>= 8``."""
    found: float
    """In the same unit."""
    reached: bool
    """Whether it is."""


def targets(results: Results) -> list[Target]:
    """Those that this run has the rows for."""
    found = _gpu(results) if results.preset == "gpu" else _cpu(results)
    return [*found, *_flops(results)]


def _cpu(results: Results) -> Iterator[Target]:
    ours = results.row("streaming", "vits14", 16, 3)
    for method, least in (("recompute", 8.0), ("cached", 3.0)):
        other = results.row(method, "vits14", 16, 3)
        if ours and other:
            ratio = other.median_ms / ours.median_ms
            yield Target(
                f"ViT-S/14, T = 16, three tasks: times faster than `{method}`",
                f">= {least:g}",
                ratio,
                ratio >= least,
            )
    frame = next((each.median_ms for each in results.backbone_frames if each.backbone == "vits14"), None)
    streaming = [
        row
        for row in results.rows
        if (row.method, row.backbone, row.frames, row.cameras) == ("streaming", "vits14", 16, 1)
    ]
    if frame and len(streaming) > 1:
        share = _slope(streaming) / frame
        yield Target("each further task, in backbone frames", "<= 1.3", share, share <= 1.3)
    short = results.row("streaming", "vits14", 8, 3)
    if short:
        rate = short.updates_per_second
        yield Target("ViT-S/14, T = 8, three tasks: updates a second", ">= 12", rate, rate >= 12)


def _gpu(results: Results) -> Iterator[Target]:
    ours = results.row("streaming", "vitb14", 16, 3)
    if ours:
        yield Target(
            "ViT-B/14, T = 16, three tasks: ms an update", "<= 1.0", ours.median_ms, ours.median_ms <= 1.0
        )
        fraction = ours.roofline_fraction
        yield Target("the same: share of the roofline", ">= 0.25", fraction, fraction >= 0.25)
    many = results.row("streaming", "vitb14", 16, 3, cameras=16)
    if many:
        rate = min(many.updates_per_second, 1e3 / many.p99_ms)
        yield Target(
            "16 cameras: updates a second, also of the slowest in a hundred", ">= 30", rate, rate >= 30
        )


def _flops(results: Results) -> Iterator[Target]:
    ours, other = (results.row(method, "vitb14", 16, 3) for method in ("streaming", "recompute"))
    if ours and other:
        share = ours.flops / other.flops
        yield Target(
            "ViT-B/14, T = 16, three tasks: share of `recompute`'s FLOPs", "<= 0.1", share, share <= 0.1
        )


def _slope(rows: list[Row]) -> float:
    """Milliseconds a task, by least squares."""
    slope, _ = np.polyfit([row.tasks for row in rows], [row.median_ms for row in rows], 1)
    return float(slope)
