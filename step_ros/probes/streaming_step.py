"""STEP over a window that slides: a frame's attention is computed once, for all windows that will hold it.

`StepProbe` is the definition; this is the same function of the window's tokens, arranged so that a step
forward does not start over. The identities, which the code below names where it uses them:

1. *Projections are linear.* W(x + pe_p) = Wx + W pe_p: a frame is projected once, the T positions at load.
2. *Pooling is linear.* Only the mean of all outputs is used, so a token's value is taken to the logits before
   the attention (`StackedWeights`), and a row of the softmax becomes a few sums: numerators and denominator.
3. *Scores split.* (q_i + a_p)·(k_j + b_s) = q_i·k_j + q_i·b_s + a_p·k_j + a_p·b_s for token i of a frame at
   position p and token j of one at s: a product of four factors after the exponential.
4. *The future of a pair is known.* Two frames stay as far apart as they are: they stand at positions
   (p, p + lead), then at (p - 1, p - 1 + lead), until the older one leaves. So when the newer one comes,
   their block E_ij = 2^(q_i·k_j) is computed once and multiplied with the values as each of the steps to come
   weighs them, in one matrix product: E @ [2^(a_p·k_j)·(value_j, 1)] for all p. Then the block is done with:
   no N x N array is kept, nor read again.
5. *Sums over keys add up.* A row's numerators and denominator for a step to come grow with each frame; each
   carries the largest exponent so far, as in flash attention, so that nothing overflows.

An update is 2·N·P scores a head, instead of N·N, and T/2 products with the few values behind each.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import torch
from torch import Tensor

from step_ros.probes.stacked_weights import StackedWeights, value_and_class_counts
from step_ros.probes.step import StepProbe


class StreamingStep:
    """Some attention heads of several STEP probes over one sliding window of normalised tokens.

    Attention heads have nothing to do with each other until their contributions to the logits are added, so
    the heads of a probe may be dealt out to several of these, one for each thread.

    Keeps for each frame its projections, its weighed values (identity 4), and its rows' sums for the steps to
    come (identity 5), in a ring, so that sliding moves nothing. Tokens stand last in every array (..., P):
    they are what the processor's vectors run over. Weights are copied at construction.

    Args:
        probes: n probes that agree in T, D, H, dtype and device.
        heads: which attention heads of each.
        num_patches: P, tokens a frame.
        block_dtype: what E and the weighed values are kept and multiplied in; the probes' dtype, or
            bfloat16 where the processor multiplies it faster. Scores and sums keep the probes' dtype.
    """

    def __init__(
        self, probes: Sequence[StepProbe], heads: range, num_patches: int, block_dtype: torch.dtype
    ) -> None:
        self.num_probes = len(probes)
        self.num_frames, self.dim = probes[0].position.shape
        self.num_classes = [probe.classifier.out_features for probe in probes]
        self._head_dim = self.dim // probes[0].num_heads
        self._weights = StackedWeights.of(probes, heads)
        device, exact = probes[0].cls.device, probes[0].cls.dtype
        buffers = {
            name: torch.zeros(shape, dtype=dtype, device=device)
            for name, (shape, dtype) in _buffers(probes, heads, num_patches, block_dtype).items()
        }
        # The ring: a frame's slot is its first index.
        self._projected = buffers["projected"]  # T G 2d+V P
        self._values = buffers["values"]  # T G T V+1 P, by the position p of the rows that will read them
        self._value_peaks = buffers["value_peaks"]  # T G T
        self._sums = buffers["sums"]  # T G T V+1 P, by the position p of the rows themselves
        self._sum_peaks = buffers["sum_peaks"]  # T G T P
        self._position_scores = buffers["position_scores"]  # T G T P: q_i · b_s
        self._cls_sums, self._cls_peaks = buffers["cls_sums"], buffers["cls_peaks"]  # T G V+1, T G
        # Where a block of two frames is worked on, one after the other.
        self._scores, self._products = buffers["scores"], buffers["products"]
        self._block = buffers.get("block", self._scores)
        self._wide_products = buffers.get("wide_products", self._products)
        # Identity 4 loses what falls below the smallest normal number in E or in a weight. Weights that span
        # fewer powers of two than this leave all but 2^-40 of a row's sum.
        self._widest = -math.log2(torch.finfo(exact).tiny) - 40
        self._wide = [[False] * self.num_probes] * self.num_frames
        self._newest = self._count = 0

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
        self._project(newest, tokens)
        self._weigh_values(newest)
        self._start_rows(newest)
        self._attend_from_cls(newest)
        self._newest, self._count = newest, min(self._count + 1, self.num_frames)
        self._attend(newest, newest, 0)
        for age in range(1, self._count):
            older = (newest - age) % self.num_frames
            self._attend(older, newest, age)
            self._attend(newest, older, -age)

    @torch.inference_mode()
    def logits(self) -> list[Tensor | None]:
        """These heads' part of each probe's logits (K,); the parts of all heads add up.

        None before T frames are in, or where only the plain module is exact: while the temporal embeddings
        spread the scores of one frame's keys over more powers of two than a float has (see `_widest`).
        """
        if self._count < self.num_frames:
            return [None] * self.num_probes
        weights = self._weights
        positions = torch.arange(self.num_frames)
        slots = (positions + self._newest + 1) % self.num_frames  # of the frames, oldest first
        sums = self._sums[slots, :, positions]  # T G V+1 P
        pooled = (sums[:, :, :-1] / sums[:, :, -1:]).sum(dim=(0, 3)) + self._cls_row(slots)  # G V
        num_tokens = self.num_frames * sums.shape[-1] + 1
        pooled = (pooled / num_tokens).view(self.num_probes, -1, 1)  # n H·V 1
        logits = torch.baddbmm(weights.constant[..., None], weights.readout, pooled)[..., 0]  # n K
        wide = [any(column) for column in zip(*self._wide, strict=True)]
        return [
            None if is_wide else row[:count]
            for row, count, is_wide in zip(logits, self.num_classes, wide, strict=True)
        ]

    def _project(self, slot: int, tokens: Tensor) -> None:
        """Identity 1: queries, keys and values of a frame, with no position in them."""
        weights, projected = self._weights, self._projected[slot]
        torch.baddbmm(
            weights.project_bias,
            weights.project,
            tokens.transpose(1, 2),
            out=projected.view(self.num_probes, -1, projected.shape[-1]),
        )
        query = self._query(slot)
        torch.bmm(weights.position_key, query, out=self._position_scores[slot])  # q_i · b_s

    def _weigh_values(self, slot: int) -> None:
        """Identity 4: what the frame's tokens weigh, as keys, for rows at each position p.

        2^(a_p·k_j) (value_j, 1), with the largest exponent of each p taken out.
        """
        score = self._weights.position_query @ self._key(slot)  # G T P: a_p · k_j
        lowest, highest = score.aminmax(dim=-1)  # G T
        spread = (highest - lowest).view(self.num_probes, -1).amax(dim=1)  # n
        self._wide[slot] = (spread > self._widest).tolist()
        self._value_peaks[slot] = highest
        weight = score.sub_(highest[..., None]).exp2_()  # G T P
        values = self._values[slot]  # G T V+1 P
        values[:, :, :-1] = weight[:, :, None] * self._value(slot)[:, None]
        values[:, :, -1] = weight

    def _start_rows(self, slot: int) -> None:
        """A row's sums begin with the global CLS token as its first key, for each position p of the row."""
        weights = self._weights
        self._sums[slot, :, :, :-1] = weights.cls_value[:, None, :, None]
        self._sums[slot, :, :, -1] = 1
        own = weights.cls_key.transpose(1, 2) @ self._query(slot)  # G 1 P
        torch.add(own, weights.position_query @ weights.cls_key, out=self._sum_peaks[slot])  # G T P

    def _attend(self, row: int, column: int, lead: int) -> None:
        """Add the tokens of one frame as keys to the rows of another, for all steps that they share.

        `lead` is how much later the column's frame is: with the rows at position p the keys are at p + lead.
        """
        weights, last = self._weights, self.num_frames - abs(lead)
        p = slice(max(-lead, 0), max(-lead, 0) + last)
        s = slice(max(lead, 0), max(lead, 0) + last)
        # Identity 3: the block's own factor, with the largest score of each row taken out ...
        torch.bmm(self._key(column).transpose(1, 2), self._query(row), out=self._scores)  # G P(keys) P(rows)
        peak = self._scores.amax(dim=1, keepdim=True)  # G 1 P
        self._scores.sub_(peak).exp2_()
        if self._block is not self._scores:
            self._block.copy_(self._scores)
        # ... identity 4: with the values as each of the shared steps weighs them ...
        values = self._values[column][:, p]  # G S V+1 P
        products = self._products[: values.numel()].view(values.shape)
        torch.bmm(values.flatten(1, 2), self._block, out=products.flatten(1, 2))
        if products.dtype != self._sums.dtype:
            products = self._wide_products[: values.numel()].view(values.shape).copy_(products)
        # ... identity 1 for the values: W_v pe_s, times what the row gives to the frame at s ...
        products[:, :, :-1].addcmul_(products[:, :, -1:], weights.position_value[:, s, :, None])
        # ... and the factors that are a row's or a position's own.
        of_step = weights.position_score.diagonal(lead, 1, 2) + self._value_peaks[column][:, p]  # G S
        exponent = self._position_scores[row][:, s] + peak  # G S P
        self._add(row, p, products, exponent.add_(of_step[..., None]))

    def _add(self, row: int, p: slice, products: Tensor, exponent: Tensor) -> None:
        """Identity 5: sums += 2^exponent products, kept relative to the largest exponent so far."""
        peaks, sums = self._sum_peaks[row][:, p], self._sums[row][:, p]
        highest = torch.maximum(peaks, exponent)
        sums.mul_(peaks.sub_(highest).exp2_()[:, :, None])
        sums.addcmul_(products, exponent.sub_(highest).exp2_()[:, :, None])
        peaks.copy_(highest)

    def _attend_from_cls(self, slot: int) -> None:
        """The CLS token's own row: it has no position, so a frame's sums as keys are taken once."""
        score = (self._weights.cls_query @ self._key(slot))[:, 0]  # G P
        peak = score.amax(dim=1, keepdim=True)
        weight = score.sub_(peak).exp2_()[..., None]  # G P 1
        self._cls_sums[slot, :, :-1] = (self._value(slot) @ weight)[..., 0]
        self._cls_sums[slot, :, -1] = weight.sum(dim=(1, 2))
        self._cls_peaks[slot] = peak[:, 0]

    def _cls_row(self, slots: Tensor) -> Tensor:
        """What the CLS token's row of the softmax pools (G, V), over itself and the frames oldest first."""
        weights = self._weights
        sums = self._cls_sums[slots].transpose(0, 1)  # G T V+1
        values = sums[..., :-1] + sums[..., -1:] * weights.position_value
        at_position = (weights.cls_query @ weights.position_key.transpose(1, 2))[:, 0]  # G T
        frames = self._cls_peaks[slots].T + at_position
        itself = (weights.cls_query @ weights.cls_key)[:, 0]  # G 1
        highest = torch.maximum(frames.amax(dim=1, keepdim=True), itself)
        frames, itself = torch.exp2(frames - highest)[..., None], torch.exp2(itself - highest)
        numerator = (frames * values).sum(dim=1) + itself * weights.cls_value
        return numerator / ((frames[..., 0] * sums[..., -1]).sum(dim=1, keepdim=True) + itself)

    def _query(self, slot: int) -> Tensor:
        return self._projected[slot][:, : self._head_dim]  # G d P

    def _key(self, slot: int) -> Tensor:
        return self._projected[slot][:, self._head_dim : 2 * self._head_dim]  # G d P

    def _value(self, slot: int) -> Tensor:
        return self._projected[slot][:, 2 * self._head_dim :]  # G V P


def memory_for(probes: Sequence[StepProbe], heads: range, num_patches: int, block_dtype: torch.dtype) -> int:
    """Bytes that `StreamingStep(probes, heads, num_patches, block_dtype)` keeps, besides its weights."""
    buffers = _buffers(probes, heads, num_patches, block_dtype).values()
    return sum(math.prod(shape) * dtype.itemsize for shape, dtype in buffers)


def _buffers(
    probes: Sequence[StepProbe], taken: range, num_patches: int, block_dtype: torch.dtype
) -> dict[str, tuple[tuple[int, ...], torch.dtype]]:
    """Shape and dtype of everything that a stream keeps or works in, all allocated at construction."""
    frames, dim = probes[0].position.shape
    heads, exact = len(probes) * len(taken), probes[0].cls.dtype
    sums = value_and_class_counts(probes)[0] + 1
    head_dim, block = dim // probes[0].num_heads, (heads, num_patches, num_patches)
    step = heads * frames * sums * num_patches
    buffers = {
        "projected": ((frames, heads, 2 * head_dim + sums - 1, num_patches), exact),
        "values": ((frames, heads, frames, sums, num_patches), block_dtype),
        "value_peaks": ((frames, heads, frames), exact),
        "sums": ((frames, heads, frames, sums, num_patches), exact),
        "sum_peaks": ((frames, heads, frames, num_patches), exact),
        "position_scores": ((frames, heads, frames, num_patches), exact),
        "cls_sums": ((frames, heads, sums), exact),
        "cls_peaks": ((frames, heads), exact),
        "scores": (block, exact),
        "products": ((step,), block_dtype),
    }
    if block_dtype != exact:
        buffers |= {"block": (block, block_dtype), "wide_products": ((step,), exact)}
    return buffers
