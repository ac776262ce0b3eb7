"""Measures methods side by side: they take turns, so that what else the machine does falls on all of them."""

from __future__ import annotations

import statistics
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Protocol

import numpy as np
import torch
from torch import Tensor

from step_ros.backbones import Backbone
from step_ros.benchmark.memory import peak_memory
from step_ros.benchmark.methods import METHODS, Method
from step_ros.benchmark.models import random_heads
from step_ros.benchmark.roofline import Roofline
from step_ros.benchmark.row import Case, Row
from step_ros.benchmark.video_models import VIDEO_MODELS, VideoModel

_FRAME = (480, 640, 3)
_SAME_ANSWER = ("recompute", "cached", "streaming")
_LEAST_ROUNDS = 3
_MOST_ROUNDS = 40
# Of a method that takes a tenth of the time of the slowest, ten updates a round; of none more than:
_MOST_UPDATES_A_ROUND = 8


class Measured(Protocol):
    """What can be measured: `Method` and `VideoModel`."""

    device: torch.device
    """Where it runs."""

    @property
    def name(self) -> str:
        """As the row names it."""

    def show(self, frames: Tensor) -> None:
        """A frame of each camera in, and nothing out."""

    def update(self, frames: Tensor) -> Tensor:
        """A frame of each camera in, probabilities on the host out."""

    def look_ahead(self) -> None:
        """What can be done before the next frames come."""

    def flops(self) -> int:
        """Floating-point operations of an update's matrix products."""

    def bytes_moved(self) -> int:
        """Bytes that an update has to read at least."""

    @property
    def heads_memory_bytes(self) -> int:
        """Bytes that streaming heads keep; 0 where there are none."""


@dataclass
class _Entry:
    method: Measured
    engine: str
    peak_mb: float
    error: float | None = None
    seconds: list[float] = field(default_factory=list)
    """Of updates on a device that had nothing else to do."""
    periods: list[float] = field(default_factory=list)
    """From one update to the next, where they follow each other at once; empty where that is the same."""


def run_case(
    case: Case, backbone: Backbone, engine_mb: float, roofline: Roofline, seconds: float
) -> list[Row]:
    """Measure a case's methods.

    Args:
        case: what to measure.
        backbone: the case's, with its engine.
        engine_mb: what that engine holds, in MiB.
        roofline: of the device.
        seconds: about how long to go on; at least three rounds are made.
    """
    frames = _frames(backbone.device, case.cameras)
    entries = [_build(name, case, backbone, engine_mb, frames) for name in case.methods]
    _compare(entries, frames)
    end = time.perf_counter() + seconds
    shares = _updates_a_round(entries, frames)
    for round_ in range(_MOST_ROUNDS):
        if round_ >= _LEAST_ROUNDS and time.perf_counter() > end:
            break
        for entry, updates in zip(entries, shares, strict=True):
            entry.seconds += [_timed(entry.method, next(frames)) for _ in range(updates)]
            if backbone.device.type == "cuda":
                entry.periods.append(_period(entry.method, frames, updates))
    return [_row(entry, case, roofline) for entry in entries]


def median_encode_ms(backbone: Backbone, updates: int = 30) -> float:
    """Milliseconds, median, from one uint8 frame on the host to its tokens."""
    frames = _frames(backbone.device, 1)
    seconds = []
    for _ in range(3 + updates):
        frame = next(frames)
        start = time.perf_counter()
        backbone.encode(frame)
        _wait(backbone.device)
        seconds.append(time.perf_counter() - start)
    return statistics.median(seconds[3:]) * 1e3


def _build(name: str, case: Case, backbone: Backbone, engine_mb: float, frames: Iterator[Tensor]) -> _Entry:
    """A method with a full window, and what it took."""
    method: Measured
    with peak_memory(backbone.device) as peak:
        if name in VIDEO_MODELS:
            video_model = VideoModel(name, backbone, case.frames)
            method, engine, engine_mb = video_model, video_model.engine, 0.0
        else:
            heads = random_heads(backbone, case.tasks, case.frames)
            method, engine = METHODS[name](backbone, heads, case.cameras), str(backbone.engine)
        for _ in range(case.frames):
            method.show(next(frames))
        method.update(next(frames))
    return _Entry(method, engine, engine_mb + peak.mb)


def _compare(entries: Sequence[_Entry], frames: Iterator[Tensor]) -> None:
    """Show all the same window, and see how far their logits are from those of `recompute`."""
    methods = {
        entry.method.name: entry.method
        for entry in entries
        if isinstance(entry.method, Method) and entry.method.name in _SAME_ANSWER
    }
    if "recompute" not in methods:
        return
    for _ in range(methods["recompute"].frames):
        frame = next(frames)
        for method in methods.values():
            method.show(frame)
    answers = {name: method.logits().double() for name, method in methods.items()}
    expected = answers["recompute"]
    for entry in entries:
        if entry.method.name in answers:
            difference = answers[entry.method.name] - expected
            entry.error = float(difference.abs().max() / expected.abs().max())


def _updates_a_round(entries: Sequence[_Entry], frames: Iterator[Tensor]) -> list[int]:
    once = [_timed(entry.method, next(frames)) for entry in entries]
    return [max(1, min(_MOST_UPDATES_A_ROUND, round(max(once) / each))) for each in once]


def _timed(method: Measured, frame: Tensor) -> float:
    """Seconds from a frame to its answer, on the host; none of what is done ahead for the next one."""
    _wait(method.device)
    start = time.perf_counter()
    method.update(frame)
    seconds = time.perf_counter() - start
    method.look_ahead()
    return seconds


def _period(method: Measured, frames: Iterator[Tensor], updates: int) -> float:
    """Seconds an update takes of the device's time, with all that is done ahead."""
    _wait(method.device)
    start = time.perf_counter()
    for _ in range(updates):
        method.update(next(frames))
        method.look_ahead()
    _wait(method.device)
    return (time.perf_counter() - start) / updates


def _wait(device: torch.device) -> None:
    if device.type == "cuda":
        torch.cuda.synchronize(device)


def _row(entry: _Entry, case: Case, roofline: Roofline) -> Row:
    method, median = entry.method, statistics.median(entry.seconds)
    period = statistics.median(entry.periods) if entry.periods else median
    flops = method.flops()
    return Row(
        method=method.name,
        backbone=case.backbone,
        engine=entry.engine,
        frames=case.frames,
        tasks=case.tasks,
        cameras=case.cameras,
        updates=len(entry.seconds),
        median_ms=1e3 * median,
        best_ms=1e3 * min(entry.seconds),
        p99_ms=1e3 * float(np.quantile(entry.seconds, 0.99, method="higher")),
        updates_per_second=1 / period,
        flops=flops,
        peak_mb=entry.peak_mb,
        roofline_fraction=roofline.floor_seconds(flops, method.bytes_moved()) / period,
        heads_memory_mb=method.heads_memory_bytes / 2**20,
        error=entry.error,
    )


def _frames(device: torch.device, cameras: int) -> Iterator[Tensor]:
    """Frames (cameras, H, W, 3) as cameras give them, over and over; pinned where there is a GPU."""
    generator = torch.Generator().manual_seed(0)
    coarse = torch.randint(0, 256, (8, cameras, 15, 20, 3), dtype=torch.uint8, generator=generator)
    fine = coarse.repeat_interleave(_FRAME[0] // 15, dim=2).repeat_interleave(_FRAME[1] // 20, dim=3)
    frames = fine.pin_memory() if device.type == "cuda" else fine
    while True:
        yield from frames
