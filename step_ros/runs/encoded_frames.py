"""The frames that a pipeline's windows show, with their tokens, as fast as a recording can be read."""

from __future__ import annotations

import time
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from step_ros.frames import RecordedFrame, Sampled
from step_ros.perception import Perceiver

BATCH = 8
"""Frames that the backbone encodes at once."""


@dataclass(frozen=True, eq=False)
class EncodedFrame:
    """A frame that the time grid picked."""

    sampled: Sampled
    """The frame and its place on the grid."""
    tokens: Tensor
    """(P, D)."""
    trigger: RecordedFrame
    """The frame whose coming made it final."""
    encode_ns: int
    """Its share of the time that its batch took."""


def encoded_frames(frames: Iterable[RecordedFrame], perceiver: Perceiver) -> Iterator[EncodedFrame]:
    """Select and encode frames, several at once.

    Meant for a thread of its own, in which torch then uses one core: for so many frames that is the fastest,
    and whatever runs beside it has the others.

    Args:
        frames: in the order of recording.
        perceiver: selects and encodes; its window stays as it is.
    """
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        yield from _encoded(frames, perceiver)
    finally:
        torch.set_num_threads(threads)  # it is also what threads that are started later begin with


def _encoded(frames: Iterable[RecordedFrame], perceiver: Perceiver) -> Iterator[EncodedFrame]:
    waiting: list[tuple[Sampled, RecordedFrame]] = []
    for frame in frames:
        sampled = perceiver.select(frame)
        if sampled is None:
            continue
        if waiting and waiting[0][0].frame.rgb.shape != sampled.frame.rgb.shape:
            yield from _encode(waiting, perceiver)
            waiting = []
        waiting.append((sampled, frame))
        if len(waiting) == BATCH:
            yield from _encode(waiting, perceiver)
            waiting = []
    if waiting:
        yield from _encode(waiting, perceiver)


def _encode(waiting: list[tuple[Sampled, RecordedFrame]], perceiver: Perceiver) -> Iterator[EncodedFrame]:
    began = time.perf_counter_ns()
    tokens = perceiver.backbone.encode(np.stack([sampled.frame.rgb for sampled, _ in waiting]))
    share_ns = (time.perf_counter_ns() - began) // len(waiting)
    for (sampled, trigger), row in zip(waiting, tokens, strict=True):
        yield EncodedFrame(sampled, row, trigger, share_ns)
