"""STEP and self-attention over a sliding window on a GPU: most is done before a frame comes.

Neither identity 3 of the README is used nor 6. On a processor whose matrix units are far faster than its
memory, a block of scores is cheaper computed again, in a kernel that never writes it, than kept from being
computed again by many small ones. But it need not wait for the frame with all of them. Where the frames of
now will stand in the next window is known (identity 4), and what they gather from each other is one part of
their attention, put together with the other by identity 5 (`partial_attention`): of N² scores a new frame
leaves fewer than 2·N·P to be computed once it is there. The others are computed while the GPU waits for it.

Where the window stands in the ring is known to the GPU alone, so a step, an answer and the look ahead are
three CUDA graphs, launched without waiting for anything.
"""

from __future__ import annotations

import copy
import logging
import math
import types
import weakref
from collections.abc import Callable, Sequence
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

from step_ros.cuda_graph import capture
from step_ros.probes.head import Head
from step_ros.probes.step import StepProbe
from step_ros.probes.streaming import partial_attention
from step_ros.probes.streaming.partial_attention import Part
from step_ros.probes.streaming.stacked_weights import StackedWeights, attention_probe
from step_ros.user_cache import compile_privately

_log = logging.getLogger(__name__)

# Half of what float16 holds.
_LARGEST_IN_FLOAT16 = 2.0**15

# Queries are scaled for exponents of two (`StackedWeights`).
_SCALE = math.log(2)


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
        kept: dict[str, Any] = {"dtype": dtype, "device": self._device}
        self._ring = torch.zeros(_ring_shape(heads, num_patches), **kept)  # T G P 3d, with no position
        self._slots = torch.arange(self.num_frames, device=self._device)  # of the frames, oldest first
        self._window = torch.zeros(_window_shape(heads, num_patches), **kept)  # G N 3d, CLS token and frames
        if isinstance(probes[0], StepProbe):
            cls_token = (
                weights.cls_query,
                weights.cls_key.transpose(1, 2),
                F.pad(weights.cls_value, (0, spare))[:, None],
            )
            self._window[:, :1] = torch.cat(cls_token, dim=2).to(dtype)
        self._num_old = self._window.shape[1] - num_patches
        self._first_patch = self._window.shape[1] - self.num_frames * num_patches
        self._attention = partial_attention.fastest(self._by_head(self._window[:, : self._num_old]))
        self._place, self._pool = (_compiled(run, self._device) for run in (_place, _pool))
        self._count = 0
        self._answer: list[Tensor | None] | None = None
        self._looked_ahead = False
        self._beside: torch.cuda.Stream | None = None
        if self._device.type == "cuda":
            self._beside = torch.cuda.Stream(self._device)
            # What it writes to must not be given away before it is through.
            weakref.finalize(self, self._beside.synchronize)
        tokens = torch.zeros(num_patches, dim, dtype=self._exact, device=self._device)
        self._take = _launched(self._slide, self._device, tokens)
        self._attend_ahead = _launched(self._attend_to_old, self._device, urgent=False)
        self._old: Part = self._attend_ahead()
        self._answer_now = _launched(self._attend_to_new, self._device)

    def reset(self) -> None:
        """Start with an empty window."""
        self._count, self._answer, self._looked_ahead = 0, None, False

    @torch.inference_mode()
    def push(self, tokens: Tensor) -> None:
        """Slide the window by one step, to take in the next frame's tokens (P, D), not yet normalised."""
        if self._beside is not None:
            torch.cuda.current_stream(self._device).wait_stream(self._beside)
        if not self._looked_ahead and self._count >= self.num_frames - 1:
            self._old = self._attend_ahead()
        self._take(tokens)
        self._count = min(self._count + 1, self.num_frames)
        self._answer, self._looked_ahead = None, False

    @torch.inference_mode()
    def logits(self) -> list[Tensor | None]:
        """Each head's logits (K,); None before T frames are in.

        What the caller launches on them may wait for a `look_ahead`, which fills the GPU: that comes after.
        """
        if self._count < self.num_frames:
            return [None] * len(self.num_classes)
        if self._answer is None:
            rows = self._answer_now().clone()  # the next one writes over it
            self._answer = [row[:count] for row, count in zip(rows, self.num_classes, strict=True)]
        return list(self._answer)

    @torch.inference_mode()
    def look_ahead(self) -> None:
        """Launch what can be done before the next frame comes; else the next `push` does it."""
        if self._looked_ahead or self._count < self.num_frames - 1:
            return
        self.logits()  # whoever asks later must not see the next window's parts
        if self._beside is None:
            self._old = self._attend_ahead()
        else:
            self._beside.wait_stream(torch.cuda.current_stream(self._device))
            with torch.cuda.stream(self._beside):
                self._attend_ahead()
        self._looked_ahead = True

    def _slide(self, tokens: Tensor) -> Tensor:
        """Identity 1: a frame's queries, keys and values, with no position, over those of the oldest."""
        normalised = torch.stack([normalise(tokens) for normalise in self._normalizations])  # n P D
        projected = normalised.to(self._project.dtype) @ self._project.transpose(1, 2)  # n P 3·H·d
        frame = projected.unflatten(2, (3, self._num_heads, -1)).permute(0, 3, 1, 2, 4)  # n H P 3 d
        self._ring.index_copy_(0, self._slots[:1], frame.flatten(3).flatten(0, 1)[None])
        self._slots.copy_(self._slots.roll(-1))
        return self._slots

    def _attend_to_old(self) -> Part:
        """Identity 4, before the next frame comes: what all others gather from each other."""
        old = self._window[:, : self._num_old]
        self._place(self._ring, self._slots[1:], self._position[:-1], old[:, self._first_patch :])
        query, key, value = self._by_head(old).split(self._head_dim, dim=3)
        return self._attention(query, key, value, _SCALE)

    def _attend_to_new(self) -> Tensor:
        """Identity 5, once it is there, and 2: the mean of all, taken to the logits (n, K)."""
        self._place(self._ring, self._slots[-1:], self._position[-1:], self._window[:, self._num_old :])
        query, key, value = self._by_head(self._window).split(self._head_dim, dim=3)  # n H N d
        n = self._num_old
        from_new = self._attention(query[:, :, :n], key[:, :, n:], value[:, :, n:], _SCALE)
        gathered, _ = self._attention(query[:, :, n:], key, value, _SCALE)
        pooled = self._pool(self._old, from_new, gathered)[..., : self._num_values]  # n H V
        column = pooled.to(self._exact).flatten(1)[..., None]
        logits: Tensor = torch.baddbmm(self._constant[..., None], self._readout, column)[..., 0]
        return logits

    def _by_head(self, window: Tensor) -> Tensor:
        """(n, H, N, 3d) of (G, N, 3d)."""
        by_head: Tensor = window.unflatten(0, (-1, self._num_heads))
        return by_head


def _place(ring: Tensor, slots: Tensor, position: Tensor, stretch: Tensor) -> None:
    """Write the frames in `slots` of the ring, at positions (t, G, 1, 3d), to a stretch (G, t·P, 3d)."""
    frames = ring.index_select(0, slots) + position
    stretch.unflatten(1, (len(slots), ring.shape[2])).copy_(frames.transpose(0, 1))


def _pool(old: Part, from_new: Part, gathered: Tensor) -> Tensor:
    """Mean (n, H, d) of what old tokens gather, in two parts, and of what new ones do."""
    joined = partial_attention.join(old, from_new)
    total: Tensor = joined.sum(dim=2) + gathered.to(joined.dtype).sum(dim=2)
    return total / (joined.shape[2] + gathered.shape[2])


def memory_bytes(heads: Sequence[Head], num_patches: int, dtype: torch.dtype) -> int:
    """Bytes that `FusedStep(heads, num_patches, dtype)` keeps from one step to the next."""
    groups, tokens, channels = _window_shape(heads, num_patches)
    old = groups * (tokens - num_patches)  # each with what it has gathered and its denominator
    kept = math.prod(_ring_shape(heads, num_patches)) + groups * tokens * channels + old * channels // 3
    return kept * dtype.itemsize + old * torch.promote_types(dtype, torch.float32).itemsize


def _ring_shape(heads: Sequence[Head], num_patches: int) -> tuple[int, ...]:
    probe = attention_probe(heads[0].probe)
    return probe.num_frames, len(heads) * probe.num_heads, num_patches, 3 * (probe.dim // probe.num_heads)


def _window_shape(heads: Sequence[Head], num_patches: int) -> tuple[int, ...]:
    frames, groups, patches, channels = _ring_shape(heads, num_patches)
    global_tokens = 1 if isinstance(heads[0].probe, StepProbe) else 0
    return groups, global_tokens + frames * patches, channels


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
    run: Callable[..., Any], device: torch.device, given: Tensor | None = None, *, urgent: bool = True
) -> Callable[..., Any]:
    """A call as it is or, on a GPU, as one CUDA graph, whose next launch writes over the result.

    Args:
        run: the call.
        device: where.
        given: like what it will be called with, if anything.
        urgent: see `capture`.
    """
    if device.type != "cuda":
        return run
    arguments = () if given is None else (given,)
    with torch.inference_mode():
        graph, result = capture(lambda: run(*arguments), device, urgent=urgent)

    def launch(*new: Tensor) -> Any:
        for kept, each in zip(arguments, new, strict=True):
            kept.copy_(each)
        graph.replay()
        return result

    return launch


def _compiled(run: Callable[..., Any], device: torch.device) -> Callable[..., Any]:
    """A chain of small operations as one kernel, on a GPU; as it is where there is no compiler for that."""
    if device.type != "cuda":
        return run
    try:
        compiled = compile_privately(own_copy(run), fullgraph=True, dynamic=False)
    except OSError as error:
        _log.warning("%s is not compiled: %s", run.__name__.strip("_"), error)
        return run

    def call(*given: Any) -> Any:
        nonlocal compiled
        try:
            return compiled(*given)
        except Exception as error:  # compilers raise what they like
            _log.warning("%s is not compiled: %s", run.__name__.strip("_"), error)
            compiled = run
            return run(*given)

    return call


def own_copy(function: Callable[..., Any]) -> Callable[..., Any]:
    """The same function with code of its own: PyTorch compiles one code for no more than eight sizes."""
    return types.FunctionType(function.__code__.replace(), function.__globals__, function.__name__)
