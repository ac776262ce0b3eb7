"""STEP over a window that slides: a frame's attention is computed once, for all windows that will hold it.

`StepProbe` is the definition; this is the same function of the window's tokens, arranged by the identities of
the README so that a step forward does not start over. When a frame comes, its block E_ij = 2^(q_i·k_j) with
each frame before it is computed once and multiplied with the values as each of the steps to come weighs them
(identity 4), in one matrix product: E @ [2^(a_p·k_j)·(value_j, 1)] for all p. Then the block is done with: no
N x N array is kept, nor read again. What comes out is added to the rows' sums (identity 5), each relative to
an exponent of the row's own. As in flash attention it must not stay far below the largest, or they would
overflow; but it may a little, so it hardly ever has to move.

An update is 2·N·P scores a head, instead of N·N, and T/2 products with the few values behind each.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from step_ros.probes.streaming.batched_product import multiply
from step_ros.probes.streaming.cls_row import ClsRow
from step_ros.probes.streaming.stacked_weights import AttentionProbe, value_and_class_counts
from step_ros.probes.streaming.stream import Buffers, Stream

# E and the weights of the values are scaled to have their largest at 2^16: a row's exponent then moves only
# for a block whose scores are 2^32 times those before, and little is lost of the range below.
_LARGEST = 16


@dataclass(frozen=True, eq=False)
class _Pair:
    """Views of the rows of one frame's slot and of the keys of another's, a given lead apart.

    Making them takes Python as long as using them, and while one thread's Python runs another's waits.
    """

    queries: Tensor  # G P d
    keys: Tensor  # G P d
    weighed: Tensor  # G S·(V+1) P(keys)
    products: Tensor  # G S·(V+1) P(rows)
    wide_products: Tensor  # the same in the sums' type
    step_products: Tensor  # G S V+1 P: the same again
    value_products: Tensor  # G S V P: of these, the values
    key_products: Tensor  # G S 1 P: and the denominator
    position_value: Tensor  # G S V 1
    position_scores: Tensor  # G S P
    of_step: Tensor  # G S 1
    weights_peaks: Tensor  # G S 1
    references: Tensor  # G S P
    sums: Tensor  # G S V+1 P


class StreamingStep(Stream):
    """Some attention heads of several STEP probes over one sliding window; see `Stream`.

    Keeps for each frame its queries and keys, its weighed values (identity 4), and its rows' sums for the
    steps to come (identity 5).
    """

    def __init__(
        self, probes: Sequence[AttentionProbe], heads: range, num_patches: int, block_dtype: torch.dtype
    ) -> None:
        super().__init__(probes, heads, num_patches, block_dtype)
        self.num_probes = len(probes)
        buffers = self._buffers
        # The ring: a frame's slot is its first index.
        self._queries, self._keys = buffers["queries"], buffers["keys"]  # T G P d
        # T G T V+1 P: values, by the position p of the rows that read them
        self._weighed = buffers["weighed"]
        self._weights_peaks = buffers["weights_peaks"]  # T G T
        self._sums = buffers["sums"]  # T G T V+1 P, by the position p of the rows themselves
        self._references = buffers["references"]  # T G T P: the exponents that sums are relative to
        self._position_scores = buffers["position_scores"]  # T G T P: q_i · b_s
        self._cls_row = ClsRow(self._weights, buffers["cls_sums"], buffers["cls_peaks"])
        # Where a frame, and a block of two, is worked on, one after the other.
        self._projected, self._values = buffers["projected"], buffers["values"]  # n P 2·H·d, G V P
        self._scores, self._products = buffers["scores"], buffers["products"]
        self._block = buffers.get("block", self._scores)
        self._wide_products = buffers.get("wide_products", self._products)
        # Where the largest of E meets the smallest of the weights, a row's sum is as many powers of two below
        # its reference as weights span. They may span so many that what other blocks add to it, at most
        # 2^(2·_LARGEST) times a factor, still has all of its bits where that factor is the smallest there is.
        finfo = torch.finfo(self._sums.dtype)
        self._widest = math.log2(finfo.eps) - math.log2(finfo.tiny) - 2 * _LARGEST
        self._wide = [[False] * self.num_probes] * self.num_frames
        self._pairs: dict[tuple[int, int], _Pair] = {}

    @staticmethod
    def buffers(
        probes: Sequence[AttentionProbe], heads: range, num_patches: int, block_dtype: torch.dtype
    ) -> Buffers:
        """See `Stream.buffers`."""
        frames, exact = probes[0].num_frames, probes[0].in_proj.weight.dtype
        groups, head_dim = len(probes) * len(heads), probes[0].dim // probes[0].num_heads
        sums = value_and_class_counts(probes)[0] + 1
        block, step = (groups, num_patches, num_patches), groups * frames * sums * num_patches
        buffers: Buffers = {
            "queries": ((frames, groups, num_patches, head_dim), exact),
            "keys": ((frames, groups, num_patches, head_dim), exact),
            "weighed": ((frames, groups, frames, sums, num_patches), block_dtype),
            "weights_peaks": ((frames, groups, frames), exact),
            "sums": ((frames, groups, frames, sums, num_patches), exact),
            "references": ((frames, groups, frames, num_patches), exact),
            "position_scores": ((frames, groups, frames, num_patches), exact),
            "cls_sums": ((frames, groups, sums), exact),
            "cls_peaks": ((frames, groups), exact),
            "projected": ((len(probes), num_patches, 2 * len(heads) * head_dim), exact),
            "values": ((groups, sums - 1, num_patches), exact),
            "scores": (block, exact),
            "products": ((step,), block_dtype),
        }
        if block_dtype != exact:
            buffers |= {"block": (block, block_dtype), "wide_products": ((step,), exact)}
        return buffers

    @torch.inference_mode()
    def logits(self) -> list[Tensor | None]:
        """See `Stream.logits`.

        The plain module is needed while the temporal embeddings spread the scores of one frame's keys over
        more powers of two than a float has (see `_widest`).
        """
        if self._count < self.num_frames:
            return [None] * self.num_probes
        positions = torch.arange(self.num_frames)
        slots = (positions + self._newest + 1) % self.num_frames  # of the frames, oldest first
        sums = self._sums[slots, :, positions]  # T G V+1 P
        pooled = (sums[:, :, :-1] / sums[:, :, -1:]).sum(dim=(0, 3)) + self._cls_row.pooled(slots)  # G V
        num_tokens = self.num_frames * sums.shape[-1] + 1
        logits = self._weights.read_out(pooled / num_tokens)  # n K
        wide = [any(column) for column in zip(*self._wide, strict=True)]
        return [
            None if is_wide else row[:count]
            for row, count, is_wide in zip(logits, self.num_classes, wide, strict=True)
        ]

    def _take(self, slot: int, tokens: Tensor) -> None:
        """All that needs no other frame."""
        self._project(slot, tokens)
        self._weigh_values(slot)
        self._start_rows(slot)
        self._cls_row.take(slot, self._keys[slot], self._values)

    def _project(self, slot: int, tokens: Tensor) -> None:
        """Identity 1: queries, keys and values of a frame, with no position in them."""
        weights, queries = self._weights, self._queries[slot]
        weights.project(tokens, self._projected, queries, self._keys[slot], self._values)
        multiply(weights.position_key, queries, out=self._position_scores[slot])  # q_i · b_s

    def _weigh_values(self, slot: int) -> None:
        """Identity 4: what the frame's tokens weigh, as keys, for rows at each position p.

        2^(a_p·k_j) (value_j, 1), with the largest exponent of each p taken out.
        """
        score = self._weights.position_query @ self._keys[slot].transpose(1, 2)  # G T P: a_p · k_j
        lowest, highest = score.aminmax(dim=-1)  # G T
        spread = (highest - lowest).view(self.num_probes, -1).amax(dim=1)  # n
        self._wide[slot] = (spread > self._widest).tolist()
        torch.sub(highest, _LARGEST, out=self._weights_peaks[slot])
        weight = score.sub_(self._weights_peaks[slot][..., None]).exp2_()  # G T P
        weighed = self._weighed[slot]  # G T V+1 P
        weighed[:, :, :-1] = weight[:, :, None] * self._values[:, None]
        weighed[:, :, -1] = weight

    def _start_rows(self, slot: int) -> None:
        """Identity 6: a row's sums begin with the CLS token as first key, for each position p of the row."""
        weights = self._weights
        self._sums[slot, :, :, :-1] = weights.cls_value[:, None, :, None]
        self._sums[slot, :, :, -1] = 1
        own = (self._queries[slot] @ weights.cls_key).transpose(1, 2)  # G 1 P
        torch.add(own, weights.position_query @ weights.cls_key, out=self._references[slot])  # G T P

    def _attend(self, row: int, column: int, lead: int) -> None:
        """Add the tokens of one frame as keys to the rows of another, for all steps that they share.

        `lead` is how much later the column's frame is: with the rows at position p the keys are at p + lead.
        """
        pair = self._pairs.get((row, lead))
        if pair is None:
            pair = self._pairs[row, lead] = self._pair(row, column, lead)
        # Identity 3: the block's own factor, with the largest score of each row taken out ...
        multiply(pair.queries, pair.keys, out=self._scores)  # G P(rows) P(keys)
        peak = self._scores.amax(dim=2, keepdim=True).sub_(_LARGEST)  # G P 1
        self._scores.sub_(peak).exp2_()
        if self._block is not self._scores:
            self._block.copy_(self._scores)
        # ... identity 4: with the values as each of the shared steps weighs them ...
        multiply(pair.weighed, self._block, out=pair.products)  # G S·(V+1) P(rows)
        if pair.wide_products is not pair.products:
            pair.wide_products.copy_(pair.products)
        # ... identity 1 for the values: W_v pe_s, times what the row gives to the frame at s ...
        pair.value_products.addcmul_(pair.key_products, pair.position_value)
        # ... and the factors that are a row's or a position's own.
        exponent = pair.position_scores + pair.of_step  # G S P
        exponent.add_(peak.transpose(1, 2)).add_(pair.weights_peaks)
        # Identity 5: sums += 2^exponent products.
        exponent.sub_(pair.references)
        if exponent.amax() > 0:  # some products, of up to 2^(2·_LARGEST), would leave too little room
            raised = exponent.add(2 * _LARGEST).clamp_(min=0)
            pair.references.add_(raised)
            exponent.sub_(raised)
            pair.sums.mul_(raised.neg_().exp2_()[:, :, None])
        pair.sums.addcmul_(pair.step_products, exponent.exp2_()[:, :, None])

    def _pair(self, row: int, column: int, lead: int) -> _Pair:
        """Where `_attend` reads and writes for two frames."""
        weights, last = self._weights, self.num_frames - abs(lead)
        p = slice(max(-lead, 0), max(-lead, 0) + last)
        s = slice(max(lead, 0), max(lead, 0) + last)
        weighed = self._weighed[column][:, p]  # G S V+1 P(keys)
        products = self._products[: weighed.numel()].view(weighed.shape)
        wide = self._wide_products[: weighed.numel()].view(weighed.shape)
        return _Pair(
            queries=self._queries[row],
            keys=self._keys[column],
            weighed=weighed.flatten(1, 2),
            products=products.flatten(1, 2),
            wide_products=products.flatten(1, 2) if wide.dtype == products.dtype else wide.flatten(1, 2),
            step_products=wide,
            value_products=wide[:, :, :-1],
            key_products=wide[:, :, -1:],
            position_value=weights.position_value[:, s, :, None],
            position_scores=self._position_scores[row][:, s],
            of_step=weights.position_score.diagonal(lead, 1, 2)[..., None],
            weights_peaks=self._weights_peaks[column][:, p, None],
            references=self._references[row][:, p],
            sums=self._sums[row][:, p],
        )
