"""What the forms of probes that stream have in common: a ring of frames, and blocks of two that are new."""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from collections.abc import Sequence

import torch
from torch import Tensor

from step_ros.probes.streaming.stacked_weights import AttentionProbe, StackedWeights

Buffers = dict[str, tuple[tuple[int, ...], torch.dtype]]
"""Shape and dtype of each tensor that a stream keeps or works in, by name."""


class Stream(ABC):
    """Some attention heads of several alike probes over one sliding window of normalised tokens.

    Attention heads have nothing to do with each other until their contributions to the logits are added, so
    the heads of a probe may be dealt out to several of these, one for each thread. Frames lie in a ring, so
    that sliding moves nothing. In all that is worked on element by element tokens stand last (..., P): they
    are what the processor's vectors run over. Weights are copied, and all memory is taken, at construction.

    Args:
        probes: n probes that agree in kind, T, D, H, dtype and device.
        heads: which attention heads of each.
        num_patches: P, tokens a frame.
        block_dtype: what a block of scores, after the exponential, and the values are multiplied in; the
            probes' dtype, or bfloat16 where the processor multiplies it faster. Scores and sums keep the
            probes' dtype.
    """

    def __init__(
        self, probes: Sequence[AttentionProbe], heads: range, num_patches: int, block_dtype: torch.dtype
    ) -> None:
        self.num_frames = probes[0].num_frames
        self.num_classes = [probe.classifier.out_features for probe in probes]
        self._weights = StackedWeights.of(probes, heads)
        device = self._weights.query_key.device
        self._buffers = {
            name: torch.zeros(shape, dtype=dtype, device=device)
            for name, (shape, dtype) in self.buffers(probes, heads, num_patches, block_dtype).items()
        }
        self._newest = self._count = 0

    @staticmethod
    @abstractmethod
    def buffers(
        probes: Sequence[AttentionProbe], heads: range, num_patches: int, block_dtype: torch.dtype
    ) -> Buffers:
        """All that such a stream keeps or works in, besides its weights."""

    @classmethod
    def memory_for(
        cls, probes: Sequence[AttentionProbe], heads: range, num_patches: int, block_dtype: torch.dtype
    ) -> int:
        """Bytes that such a stream keeps, besides its weights."""
        buffers = cls.buffers(probes, heads, num_patches, block_dtype).values()
        return sum(math.prod(shape) * dtype.itemsize for shape, dtype in buffers)

    def reset(self) -> None:
        """Start with an empty window."""
        self._count = 0

    @torch.inference_mode()
    def push(self, tokens: Tensor) -> None:
        """Slide the window by one step, to take in the next frame.

        Args:
            tokens: (n, P, D) the frame's patch tokens, normalised for each probe.
        """
        newest = (self._newest + 1) % self.num_frames
        self._take(newest, tokens)
        self._newest, self._count = newest, min(self._count + 1, self.num_frames)
        self._attend(newest, newest, 0)
        for age in range(1, self._count):
            older = (newest - age) % self.num_frames
            self._attend(older, newest, age)
            self._attend(newest, older, -age)

    @abstractmethod
    def logits(self) -> list[Tensor | None]:
        """These heads' part of each probe's logits (K,); the parts of all heads add up.

        None before T frames are in, or where only the plain module is exact.
        """

    @abstractmethod
    def _take(self, slot: int, tokens: Tensor) -> None:
        """Write to the ring what is a frame's own."""

    @abstractmethod
    def _attend(self, row: int, column: int, lead: int) -> None:
        """Add the tokens of one frame as keys to the rows of another; the keys' frame is `lead` later."""
