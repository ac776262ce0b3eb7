"""Self-attention probing over a window that slides: what two frames give each other is computed once.

`SelfAttentionProbe` is the definition. It is STEP with no temporal embeddings and no global CLS token, so of
the README's identities 1, 3 and 6 are not needed, and 4 becomes simple: a block of two frames is the same
wherever they stand in the window. What its keys add to the rows' sums is kept until one of the frames leaves,
and an answer adds up T x T of them (identity 5).

An update is 2·N·P scores a head, instead of N·N, each multiplied with the few values once.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from step_ros.probes.streaming.batched_product import multiply
from step_ros.probes.streaming.stacked_weights import AttentionProbe, value_and_class_counts
from step_ros.probes.streaming.stream import Buffers, Stream


class StreamingSelfAttention(Stream):
    """Some attention heads of several self-attention probes over one sliding window; see `Stream`."""

    def __init__(
        self, probes: Sequence[AttentionProbe], heads: range, num_patches: int, block_dtype: torch.dtype
    ) -> None:
        super().__init__(probes, heads, num_patches, block_dtype)
        buffers = self._buffers
        # The ring: a frame's slot is its first index, of blocks the rows' frame's and then the keys' frame's.
        self._queries, self._keys = buffers["queries"], buffers["keys"]  # T G P d
        self._values = buffers["values"]  # T G V+1 P
        self._values[:, :, -1] = 1  # what the denominator sums
        self._sums = buffers["sums"]  # T T G V+1 P(rows)
        self._peaks = buffers["peaks"]  # T T G P: the exponents that sums are relative to
        # Where a frame, and a block of two, is worked on, one after the other.
        self._projected, self._projected_values = buffers["projected"], buffers["projected_values"]
        self._scores = buffers["scores"]
        self._block = buffers.get("block", self._scores)
        self._products = buffers.get("products")

    @staticmethod
    def buffers(
        probes: Sequence[AttentionProbe], heads: range, num_patches: int, block_dtype: torch.dtype
    ) -> Buffers:
        """See `Stream.buffers`."""
        frames, exact = probes[0].num_frames, probes[0].in_proj.weight.dtype
        groups, head_dim = len(probes) * len(heads), probes[0].dim // probes[0].num_heads
        sums = value_and_class_counts(probes)[0] + 1
        block, products = (groups, num_patches, num_patches), (groups, sums, num_patches)
        buffers: Buffers = {
            "queries": ((frames, groups, num_patches, head_dim), exact),
            "keys": ((frames, groups, num_patches, head_dim), exact),
            "values": ((frames, *products), block_dtype),
            "sums": ((frames, frames, *products), exact),
            "peaks": ((frames, frames, groups, num_patches), exact),
            "projected": ((len(probes), num_patches, 2 * len(heads) * head_dim), exact),
            "projected_values": ((groups, sums - 1, num_patches), exact),
            "scores": (block, exact),
        }
        if block_dtype != exact:
            buffers |= {"block": (block, block_dtype), "products": (products, block_dtype)}
        return buffers

    @torch.inference_mode()
    def logits(self) -> list[Tensor | None]:
        """See `Stream.logits`; the plain module is never needed."""
        if self._count < self.num_frames:
            return [None] * len(self.num_classes)
        # A row's sums over all frames, relative to its highest peak.
        factor = (self._peaks - self._peaks.amax(dim=1, keepdim=True)).exp2_()  # T T G P
        sums = (self._sums * factor[:, :, :, None]).sum(dim=1)  # T G V+1 P
        pooled = (sums[:, :, :-1] / sums[:, :, -1:]).mean(dim=(0, 3))  # G V
        logits = self._weights.read_out(pooled)  # n K
        return [row[:count] for row, count in zip(logits, self.num_classes, strict=True)]

    def _take(self, slot: int, tokens: Tensor) -> None:
        """Queries, keys and values of a frame."""
        values = self._projected_values
        self._weights.project(tokens, self._projected, self._queries[slot], self._keys[slot], values)
        self._values[slot, :, :-1] = values

    def _attend(self, row: int, column: int, lead: int) -> None:
        """What the tokens of one frame, as keys, add to the rows of another, however far apart they are."""
        multiply(self._queries[row], self._keys[column], out=self._scores)  # G P(rows) P(keys)
        peak = self._scores.amax(dim=2, keepdim=True)  # G P 1
        self._peaks[row, column] = peak[..., 0]
        self._scores.sub_(peak).exp2_()
        if self._products is None:
            multiply(self._values[column], self._scores, out=self._sums[row, column])
        else:
            self._block.copy_(self._scores)
            multiply(self._values[column], self._block, out=self._products)
            self._sums[row, column] = self._products
