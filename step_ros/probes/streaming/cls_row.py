"""The global CLS token's own row of the softmax over a window that slides: identity 6 of the README."""

from __future__ import annotations

import torch
from torch import Tensor

from step_ros.probes.streaming.stacked_weights import StackedWeights


class ClsRow:
    """What the CLS tokens of some attention heads pool, over themselves and the frames of the window.

    Args:
        weights: of the heads.
        sums: (T, G, V+1), of each frame as keys, by its slot in the ring; written.
        peaks: (T, G), the exponents that they are relative to; written.
    """

    def __init__(self, weights: StackedWeights, sums: Tensor, peaks: Tensor) -> None:
        self._weights, self._sums, self._peaks = weights, sums, peaks

    def take(self, slot: int, keys: Tensor, values: Tensor) -> None:
        """Sum a frame's keys (G, P, d) and values (G, V, P), with no position in them."""
        score = (keys @ self._weights.cls_query.transpose(1, 2))[..., 0]  # G P
        peak = score.amax(dim=1, keepdim=True)
        weight = score.sub_(peak).exp2_()[..., None]  # G P 1
        self._sums[slot, :, :-1] = (values @ weight)[..., 0]
        self._sums[slot, :, -1] = weight.sum(dim=(1, 2))
        self._peaks[slot] = peak[:, 0]

    def pooled(self, slots: Tensor) -> Tensor:
        """(G, V), with the frames in these slots at positions 0 to T - 1."""
        weights = self._weights
        sums = self._sums[slots].transpose(0, 1)  # G T V+1
        values = sums[..., :-1] + sums[..., -1:] * weights.position_value
        at_position = (weights.cls_query @ weights.position_key.transpose(1, 2))[:, 0]  # G T
        frames = self._peaks[slots].T + at_position
        itself = (weights.cls_query @ weights.cls_key)[:, 0]  # G 1
        highest = torch.maximum(frames.amax(dim=1, keepdim=True), itself)
        frames, itself = torch.exp2(frames - highest)[..., None], torch.exp2(itself - highest)
        numerator = (frames * values).sum(dim=1) + itself * weights.cls_value
        return numerator / ((frames[..., 0] * sums[..., -1]).sum(dim=1, keepdim=True) + itself)
