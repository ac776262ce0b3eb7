"""The moments probe over a window that slides: a frame is compared with the last one, once, for all tasks."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from step_ros.probes.moments import MomentsProbe


class StreamingMoments:
    """Several moments probes over one sliding window of the same normalised tokens.

    A frame's tokens are normalised and compared with the last frame's once, O(P·D); an answer weighs the T
    frames of the ring, one product of (4, T) and (T, P·D) for all tasks. Nothing is added up from frame to
    frame, so nothing drifts: the answer is the plain module's.

    Args:
        probes: that agree in T, D, grid, dtype and device.
    """

    def __init__(self, probes: Sequence[MomentsProbe]) -> None:
        first = probes[0]
        self._probe = first
        self._classes = [probe.classifier.out_features for probe in probes]
        self._weight = torch.cat([probe.classifier.weight.detach() for probe in probes])
        self._bias = torch.cat([probe.classifier.bias.detach() for probe in probes])
        shape = first.num_frames, first.cells.shape[1]
        self._tokens = self._weight.new_zeros((*shape, first.dim))
        self._changes = self._weight.new_zeros(shape)
        self._newest = self._count = 0

    @staticmethod
    def memory_for(probe: MomentsProbe) -> int:
        """Bytes that such a stream keeps, besides its weights."""
        itemsize = probe.classifier.weight.dtype.itemsize
        return probe.num_frames * probe.cells.shape[1] * (probe.dim + 1) * itemsize

    def reset(self) -> None:
        """Start with an empty window."""
        self._count = 0

    @torch.inference_mode()
    def push(self, tokens: Tensor) -> None:
        """Take in the next frame's tokens (P, D), normalised."""
        last, self._newest = self._newest, (self._newest + 1) % len(self._tokens)
        self._changes[self._newest] = torch.linalg.vector_norm(tokens - self._tokens[last], dim=-1)
        self._tokens[self._newest] = tokens
        self._count = min(self._count + 1, len(self._tokens))

    @torch.inference_mode()
    def logits(self) -> list[Tensor | None]:
        """Logits (K,) of each probe; None before T frames are in."""
        if self._count < len(self._tokens):
            return [None] * len(self._classes)
        oldest = (self._newest + 1) % len(self._tokens)
        # What the oldest frame changed, it changed from a frame before the window.
        change = self._changes[torch.arange(len(self._tokens)) != oldest].sum(0)
        basis = self._probe.basis.roll(oldest, dims=1)
        moments = self._probe.pool(self._tokens[None], change[None], basis)
        rows = torch.addmv(self._bias, self._weight, moments.flatten())
        return list(rows.split(self._classes))
