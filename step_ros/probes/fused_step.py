"""STEP and self-attention over a sliding window on a GPU: frames are projected once, attention is one kernel.

Of the identities in `streaming_step` only the first two are used. On a processor whose matrix units are far
faster than its memory, a block of scores is cheaper computed again, in a kernel that never writes it, than
kept from being computed again by many small ones.

1. *Projections are linear.* W(x + pe_p) = Wx + W pe_p: a frame is projected once, the T positions at load.
2. *Pooling is linear.* Only the mean of all outputs is used, so a token's value is taken to the logits before
   the attention (`StackedWeights`), and N outputs are not projected.

Where the window stands in the ring is known to the GPU alone, so a step and an answer are two CUDA graphs,
launched without waiting for anything.
"""

from __future__ import annotations

import copy
import math
from collections.abc import Callable, Sequence

import torch
import torch.nn.functional as F
from torch import Tensor

from step_ros.backbones.engines.cuda_graphs import capture
from step_ros.probes.head import Head
from step_ros.probes.stacked_weights import StackedWeights, attention_probe
from step_ros.probes.step import StepProbe

# Half of what float16 holds.
_LARGEST_IN_FLOAT16 = 2.0**15


class FusedStep:
    """Several heads of one kind over one sliding window, all attention heads of all of them in one kernel.

    Weights are copied at construction.

    Args:
        heads: n heads whose probes, STEP or self-attention, agree in T, D, H, dtype and device.
        num_patches: P, tokens a frame.
        dtype: what queries, keys and values are kept and multiplied in; see `fused_dtype`.
    """

    def __init__(self, heads: Sequence[Head], num_patches: int, dtype: torch.dtype) -> None:
        probes = [attention_probe(head.probe) for head in heads]
        self.num_frames, dim = probes[0].num_frames, probes[0].dim
        self.num_classes = [probe.classifier.out_features for probe in probes]
        self._normalizations = [copy.deepcopy(head.normalization) for head in heads]
        self._num_heads, self._head_dim = probes[0].num_heads, dim // probes[0].num_heads
        self._exact, self._device = heads[0].dtype, heads[0].device
        weights = StackedWeights.of(probes, range(self._num_heads))
        self._readout, self._constant = weights.readout, weights.constant
        self._num_values = weights.cls_value.shape[1]
        value = weights.value.unflatten(1, (self._num_heads, -1))  # n H V D
        # Fused kernels want values as wide as keys.
        spare = self._head_dim - self._num_values
        value = F.pad(value, (0, 0, 0, spare)).flatten(1, 2)
        self._project = torch.cat([weights.query_key, value], dim=1).to(dtype)  # n 3·H·d D
        positions = (
            weights.position_query + weights.query_bias,
            weights.position_key,
            F.pad(weights.position_value, (0, spare)),
        )
        self._position = torch.cat(positions, dim=2).transpose(0, 1)[:, :, None].to(dtype)  # T G 1 3d
        cls_token = (
            weights.cls_query,
            weights.cls_key.transpose(1, 2),
            F.pad(weights.cls_value, (0, spare))[:, None],
        )
        global_tokens = 1 if isinstance(probes[0], StepProbe) else 0
        self._cls = torch.cat(cls_token, dim=2).to(dtype)[:, :global_tokens]  # G 1 3d
        shape = _ring_shape(heads, num_patches)
        self._ring = torch.zeros(shape, dtype=dtype, device=self._device)  # T G P 3d
        self._slots = torch.arange(self.num_frames, device=self._device)  # of the frames, oldest first
        self._count = 0
        tokens = torch.zeros(num_patches, dim, dtype=self._exact, device=self._device)
        self._take, self._answer = (
            _launched(self._slide, tokens, self._device),
            _launched(self._attend, None, self._device),
        )

    def reset(self) -> None:
        """Start with an empty window."""
        self._count = 0

    @torch.inference_mode()
    def push(self, tokens: Tensor) -> None:
        """Slide the window by one step, to take in the next frame's tokens (P, D), not yet normalised."""
        self._take(tokens)
        self._count = min(self._count + 1, self.num_frames)

    @torch.inference_mode()
    def logits(self) -> list[Tensor | None]:
        """Each head's logits (K,); None before T frames are in."""
        if self._count < self.num_frames:
            return [None] * len(self.num_classes)
        logits = self._answer(None)
        return [row[:count] for row, count in zip(logits, self.num_classes, strict=True)]

    def _slide(self, tokens: Tensor | None) -> Tensor:
        """Identity 1: a frame's queries, keys and values, with no position, over those of the oldest."""
        assert tokens is not None
        normalised = torch.stack([normalise(tokens) for normalise in self._normalizations])  # n P D
        projected = normalised.to(self._project.dtype) @ self._project.transpose(1, 2)  # n P 3·H·d
        frame = projected.unflatten(2, (3, self._num_heads, -1)).permute(0, 3, 1, 2, 4)  # n H P 3 d
        self._ring.index_copy_(0, self._slots[:1], frame.flatten(3).flatten(0, 1)[None])
        self._slots.copy_(self._slots.roll(-1))
        return self._slots

    def _attend(self, _: Tensor | None) -> Tensor:
        """Identity 2: the mean of what all tokens gather, taken to the logits (n, K)."""
        frames = self._ring.index_select(0, self._slots) + self._position  # T G P 3d
        window = torch.cat([self._cls, frames.transpose(0, 1).flatten(1, 2)], dim=1)  # G N 3d
        query, key, value = window.unflatten(0, (-1, self._num_heads)).split(self._head_dim, dim=3)  # n H N d
        # Queries are scaled for exponents of two (`StackedWeights`).
        attended = F.scaled_dot_product_attention(query, key, value, scale=math.log(2))
        pooled = attended.mean(dim=2, dtype=self._exact)[..., : self._num_values].flatten(1)  # n H·V
        return torch.baddbmm(self._constant[..., None], self._readout, pooled[..., None])[..., 0]


def ring_bytes(heads: Sequence[Head], num_patches: int, dtype: torch.dtype) -> int:
    """Bytes that `FusedStep(heads, num_patches, dtype)` keeps from one step to the next."""
    return math.prod(_ring_shape(heads, num_patches)) * dtype.itemsize


def _ring_shape(heads: Sequence[Head], num_patches: int) -> tuple[int, ...]:
    probe = attention_probe(heads[0].probe)
    return probe.num_frames, len(heads) * probe.num_heads, num_patches, 3 * (probe.dim // probe.num_heads)


def fused_dtype(heads: Sequence[Head], mode: str) -> torch.dtype:
    """Float16 in mode ``"fast"``, where nothing can be too large for it; else the heads' own type.

    Bfloat16 would hold anything, but is too coarse for the scores of trained heads: the bundled ones are then
    off by up to 3e-3 of the largest logit, and by 3e-4 in float16.
    """
    exact = heads[0].dtype
    if mode != "fast" or exact != torch.float32:
        return exact
    return torch.float16 if all(map(_fits_float16, heads)) else exact


@torch.no_grad()
def _fits_float16(head: Head) -> bool:
    """Whether no query, key or value can be too large: normalised tokens are no longer than the root of D."""
    probe = attention_probe(head.probe)
    if head.config.probe.normalization != "layer_norm":
        return False
    given = length = math.sqrt(probe.dim)
    if isinstance(probe, StepProbe):
        given += float(torch.cat([probe.position, probe.cls[None]]).norm(dim=1).amax())
    weight = probe.in_proj.weight.norm(dim=1).amax()
    after = (probe.classifier.weight @ probe.out_proj.weight).norm(dim=1).amax().clamp(min=1)
    largest = (weight * given + probe.in_proj.bias.abs().amax()) * after * length
    return bool(largest < _LARGEST_IN_FLOAT16)


def _launched(
    run: Callable[[Tensor | None], Tensor], given: Tensor | None, device: torch.device
) -> Callable[[Tensor | None], Tensor]:
    """A call as it is or, on a GPU, as one CUDA graph; `given` is like what it will be called with."""
    if device.type != "cuda":
        return run
    with torch.inference_mode():
        graph, result = capture(lambda: run(given), device)

    def launch(new: Tensor | None) -> Tensor:
        if given is not None and new is not None:
            given.copy_(new)
        graph.replay()
        return result.clone()  # the next replay writes over the graph's own

    return launch
