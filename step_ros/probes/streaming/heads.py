"""Heads for windows that slide: each runs in its streaming form where it has one, else as it is."""

from __future__ import annotations

from collections import defaultdict, deque
from collections.abc import Hashable, Mapping, Sequence
from functools import partial

import torch
from torch import Tensor

from step_ros.probes.head import Head
from step_ros.probes.moments import MomentsProbe
from step_ros.probes.self_attention import SelfAttentionProbe
from step_ros.probes.step import StepProbe
from step_ros.probes.streaming.core_threads import CoreThreads
from step_ros.probes.streaming.fused_step import FusedStep, fused_dtype, memory_bytes
from step_ros.probes.streaming.moments import StreamingMoments
from step_ros.probes.streaming.self_attention import StreamingSelfAttention
from step_ros.probes.streaming.stacked_weights import attention_probe, value_and_class_counts
from step_ros.probes.streaming.step import StreamingStep
from step_ros.probes.streaming.stream import Stream
from step_ros.processor import multiplies_bfloat16

MODES = ("float32", "fast")
DEFAULT_MEMORY_LIMIT_MB = 1024

# From so many tokens a frame on bfloat16 pays, and over so many in a window its rounding averages out.
_LEAST_PATCHES_FOR_BFLOAT16 = 128
_LEAST_TOKENS_FOR_BFLOAT16 = 1024

# Heads share a batch while a block of scores between two frames stays in a core's share of the caches.
_BLOCK_BYTES = 2 * 1024 * 1024


_FORMS: dict[type, type[Stream]] = {StepProbe: StreamingStep, SelfAttentionProbe: StreamingSelfAttention}
"""What a probe becomes on a CPU."""


class StreamingHeads:
    """Every task's answer for the newest T grid times, at the cost of what is new.

    A STEP or self-attention head streams, on a CPU as `StreamingStep` or `StreamingSelfAttention`, on a GPU
    as `FusedStep`, and a moments head as `StreamingMoments`: the answer is the plain module's, to 1e-5 of the
    largest logit in mode ``"float32"`` and to 2e-3 in mode ``"fast"``, in which attention multiplies in 16
    bits where the processor can and the window is large enough to gain by it. Any other head, and whatever
    would go beyond the memory limit, runs the plain module on the window's tokens; so does a STEP head while
    its scores are beyond what streaming can hold exactly. The caller sees no difference.

    Weights are copied at construction: build it anew after changing a head.

    Args:
        heads: by task, in evaluation mode; they agree in T.
        mode: one of `MODES`.
        memory_limit_mb: what `memory_bytes` may reach, in MiB; tasks stream in their order while it lasts,
            and 0 lets none stream.
        least_saving: tasks whose `estimated_saving` is less do not stream, on a CPU; 0 lets all.
        longest_gap: most grid times in a row that may go without a frame; T - 1 by default. Older tokens hold
            their positions, as in `TokenWindow`. After a longer gap the window starts empty.

    Raises:
        ValueError: there are no heads, they disagree in T, or an option is out of range.

    Example:
        >>> heads = StreamingHeads({"atomic_action": head}, mode="fast")  # doctest: +SKIP
        >>> for grid_index, tokens in enumerate(stream):  # (P, D) each  # doctest: +SKIP
        ...     heads.push(grid_index, tokens)
        ...     answer = heads.probabilities()  # {"atomic_action": (K,)} from the T-th on
    """

    def __init__(
        self,
        heads: Mapping[str, Head],
        *,
        mode: str = "float32",
        memory_limit_mb: float = DEFAULT_MEMORY_LIMIT_MB,
        least_saving: float = 0.0,
        longest_gap: int | None = None,
    ) -> None:
        self.heads = dict(heads)
        lengths = {task: head.config.clip.num_frames for task, head in self.heads.items()}
        if len(set(lengths.values())) != 1:
            raise ValueError(f"heads must be given, and agree in num_frames; got {lengths}")
        if mode not in MODES:
            raise ValueError(f"unknown mode {mode!r}; known are {', '.join(MODES)}")
        if not memory_limit_mb >= 0:
            raise ValueError(f"memory_limit_mb must not be negative, got {memory_limit_mb}")
        self.num_frames = next(iter(lengths.values()))
        self.longest_gap = self.num_frames - 1 if longest_gap is None else longest_gap
        if not 0 <= self.longest_gap < self.num_frames:
            raise ValueError(
                f"longest_gap must be from 0 to T - 1 = {self.num_frames - 1}, got {longest_gap}"
            )
        self._threads = CoreThreads()
        # By batch of tasks; the attention heads of a batch are dealt out to the threads.
        self._streams: dict[tuple[str, ...], list[Stream]] = {}
        self._fused: dict[tuple[str, ...], FusedStep] = {}
        self._moments: dict[tuple[str, ...], StreamingMoments] = {}
        self._memory_bytes = 0
        streaming = {
            task: head
            for task, head in self.heads.items()
            if _can_stream(head) and (head.device.type == "cuda" or estimated_saving(head) >= least_saving)
        }
        for tasks in _batches(streaming, self._threads.count):
            on_cpu = self.heads[tasks[0]].device.type == "cpu"
            stream = self._stream if on_cpu else self._fuse
            stream(tasks, mode, memory_limit_mb * 1024 * 1024)
        for alike, probes in _moments_probes(self.heads).items():
            needed = StreamingMoments.memory_for(probes[0])
            if self._memory_bytes + needed <= memory_limit_mb * 1024 * 1024:
                self._moments[alike] = StreamingMoments(probes)
                self._memory_bytes += needed
        self._tokens: deque[Tensor] = deque(maxlen=self.num_frames)  # P D each, oldest first
        self._newest = 0

    @property
    def memory_bytes(self) -> int:
        """What the streaming forms keep, all allocated at construction; the window's tokens come on top."""
        return self._memory_bytes

    @property
    def streaming_tasks(self) -> tuple[str, ...]:
        """The tasks that have a streaming form and memory for it."""
        return tuple(task for tasks in (*self._streams, *self._fused, *self._moments) for task in tasks)

    def push(self, grid_index: int, tokens: Tensor) -> None:
        """Slide forward to `grid_index`.

        An exception on the way (no memory, say) leaves the window empty.

        Args:
            grid_index: position on the grid, after all before it.
            tokens: (P, D) patch tokens; kept as given, so they must not be written to any more.

        Raises:
            ValueError: `tokens` has another shape than the heads', or `grid_index` is not after the newest.
        """
        config = next(iter(self.heads.values())).config
        expected = (config.backbone.num_patches, config.probe.dim)
        if tuple(tokens.shape) != expected:
            raise ValueError(f"tokens must be (P, D) = {expected}, got {tuple(tokens.shape)}")
        missing = grid_index - self._newest - 1 if self._tokens else 0
        if missing < 0:
            raise ValueError(f"grid index {grid_index} is not after {self._newest}; reset to go back")
        if missing > self.longest_gap:
            self.reset()
            missing = 0
        try:
            for shown in [*[self._tokens[-1]] * missing, tokens] if missing else [tokens]:
                self._push_position(shown)
        except BaseException:
            self.reset()
            raise
        self._newest = grid_index

    @torch.inference_mode()
    def logits(self) -> dict[str, Tensor] | None:
        """Logits (K,) of each task, on its head's device; None until T positions are filled."""
        if len(self._tokens) < self.num_frames:
            return None
        streamed: dict[str, Tensor | None] = {}
        for tasks, parts in self._streams.items():
            rows = zip(*self._threads.run([part.logits for part in parts]), strict=True)
            streamed.update(zip(tasks, map(_sum, rows), strict=True))
        for tasks, fused in self._fused.items():
            streamed.update(zip(tasks, fused.logits(), strict=True))
        for tasks, moments in self._moments.items():
            streamed.update(zip(tasks, moments.logits(), strict=True))
        window: Tensor | None = None
        logits: dict[str, Tensor] = {}
        for task, head in self.heads.items():
            row = streamed.get(task)
            if row is None:
                if window is None:
                    window = torch.stack(list(self._tokens))[None]  # 1 T P D
                row = head(window.to(head.device))[0]
            logits[task] = row
        return logits

    @torch.inference_mode()
    def probabilities(self) -> dict[str, Tensor] | None:
        """Calibrated probabilities (K,) of each task; None until T positions are filled."""
        logits = self.logits()
        if logits is None:
            return None
        return {
            task: torch.softmax(row / self.heads[task].config.temperature, dim=-1)
            for task, row in logits.items()
        }

    def look_ahead(self) -> None:
        """Do what can be done before the next frame comes, on a GPU: the answer to that one is there sooner.

        To be called once an answer has been read; what is not done then, `push` does.
        """
        for fused in self._fused.values():
            fused.look_ahead()

    def reset(self) -> None:
        """Start with an empty window."""
        self._tokens.clear()
        for parts in self._streams.values():
            for part in parts:
                part.reset()
        for fused in self._fused.values():
            fused.reset()
        for moments in self._moments.values():
            moments.reset()

    def _push_position(self, tokens: Tensor) -> None:
        threads = range(self._threads.count if self._streams else 0)
        self._threads.run([partial(self._push_part, thread, tokens) for thread in threads])
        for tasks, fused in self._fused.items():
            fused.push(tokens.to(self.heads[tasks[0]].device))
        for tasks, moments in self._moments.items():
            head = self.heads[tasks[0]]
            moments.push(head.prepare(tokens.to(head.device)))
        self._tokens.append(tokens)

    @torch.inference_mode()
    def _push_part(self, thread: int, tokens: Tensor) -> None:
        """One thread's share of the attention heads of all batches."""
        for tasks, parts in self._streams.items():
            if thread < len(parts):
                heads = [self.heads[task] for task in tasks]
                normalised = [head.prepare(tokens.to(head.device)) for head in heads]
                parts[thread].push(torch.stack(normalised))

    def _stream(self, tasks: Sequence[str], mode: str, limit_bytes: float) -> None:
        """Let as many of these tasks stream in one batch as the memory allows."""
        first = self.heads[tasks[0]]
        form, num_patches = _FORMS[type(first.probe)], first.config.backbone.num_patches
        block_dtype = _block_dtype(mode, self.num_frames, num_patches, first.dtype)
        shares = _shares(first.config.probe.num_heads, self._threads.count)
        for count in range(len(tasks), 0, -1):
            probes = [attention_probe(self.heads[task].probe) for task in tasks[:count]]
            needed = sum(form.memory_for(probes, share, num_patches, block_dtype) for share in shares)
            if self._memory_bytes + needed <= limit_bytes:
                self._streams[tuple(tasks[:count])] = [
                    form(probes, share, num_patches, block_dtype) for share in shares
                ]
                self._memory_bytes += needed
                return

    def _fuse(self, tasks: Sequence[str], mode: str, limit_bytes: float) -> None:
        """Let as many of these tasks share one fused kernel as the memory allows."""
        for count in range(len(tasks), 0, -1):
            heads = [self.heads[task] for task in tasks[:count]]
            dtype = fused_dtype(heads, mode)
            num_patches = heads[0].config.backbone.num_patches
            needed = memory_bytes(heads, num_patches, dtype)
            if self._memory_bytes + needed <= limit_bytes:
                self._fused[tuple(tasks[:count])] = FusedStep(heads, num_patches, dtype)
                self._memory_bytes += needed
                return


def estimated_saving(head: Head) -> float:
    """How many times cheaper an update is on a CPU for a head that streams than for its plain module.

    An attention head has N² scores in the plain module, N = T·P; streaming it has 2·N·P of them, but also
    T²/2 pairs of positions at which P tokens' sums of V values and a denominator grow. A score costs about
    1 + d/16 exponentials, and so much growth about 7 (measured for P from 64 to 256 and d from 16 to 64), but
    1 without positions, where the sums are only added up. With few patches and many narrow attention heads
    the sums outweigh what is saved.
    """
    frames, patches = head.config.clip.num_frames, head.config.backbone.num_patches
    score = 1 + head.config.probe.dim / head.config.probe.num_heads / 16
    probe = attention_probe(head.probe)
    sums = frames**2 * patches * (value_and_class_counts([probe])[0] + 1)
    growth = 7 if isinstance(probe, StepProbe) else 1
    return (frames * patches) ** 2 * score / (2 * frames * patches**2 * score + growth * sums)


def _shares(num_heads: int, num_threads: int) -> list[range]:
    """The attention heads of a probe, dealt out to threads as evenly as can be."""
    count = min(num_heads, num_threads)
    bounds = [num_heads * index // count for index in range(count + 1)]
    return [range(start, stop) for start, stop in zip(bounds, bounds[1:], strict=False)]


def _sum(parts: Sequence[Tensor | None]) -> Tensor | None:
    """The logits that the parts add up to; None if any part has none."""
    known = [part for part in parts if part is not None]
    return torch.stack(known).sum(dim=0) if len(known) == len(parts) else None


def _batches(heads: Mapping[str, Head], num_threads: int) -> list[list[str]]:
    """The tasks, in batches of alike heads that share one computation."""
    kinds: dict[tuple[type, int, int, torch.dtype, torch.device], list[str]] = {}
    for task, head in heads.items():
        config = head.config.probe
        kind = (type(head.probe), config.dim, config.num_heads, head.dtype, head.device)
        kinds.setdefault(kind, []).append(task)
    batches: list[list[str]] = []
    for (*_, num_heads, dtype, device), alike in kinds.items():
        share = max(map(len, _shares(num_heads, num_threads)))
        one = share * heads[alike[0]].config.backbone.num_patches ** 2 * dtype.itemsize
        size = max(1, _BLOCK_BYTES // one) if device.type == "cpu" else len(alike)
        batches += [alike[start : start + size] for start in range(0, len(alike), size)]
    return batches


def _moments_probes(heads: Mapping[str, Head]) -> dict[tuple[str, ...], list[MomentsProbe]]:
    """The moments probes that are given the same tokens, by their tasks."""
    alike: dict[Hashable, dict[str, MomentsProbe]] = defaultdict(dict)
    for task, head in heads.items():
        if isinstance(head.probe, MomentsProbe):
            kind = head.normalization.kind
            statistics = task if kind == "channel" else ""  # each head has its own
            alike[head.pooling.side, kind, statistics, head.dtype, head.device][task] = head.probe
    return {tuple(probes): list(probes.values()) for probes in alike.values()}


def _can_stream(head: Head) -> bool:
    """A probe that has a form, on the backbone's own tokens: pooled ones are so few that little is gained."""
    return type(head.probe) in _FORMS and head.pooling.side == 1 and head.device.type in ("cpu", "cuda")


def _block_dtype(mode: str, num_frames: int, num_patches: int, exact: torch.dtype) -> torch.dtype:
    """bfloat16 where it is asked for, pays, and the processor has instructions for it."""
    large = num_patches >= _LEAST_PATCHES_FOR_BFLOAT16
    large = large and num_frames * num_patches >= _LEAST_TOKENS_FOR_BFLOAT16
    fast = mode == "fast" and large and exact == torch.float32
    return torch.bfloat16 if fast and multiplies_bfloat16() else exact
