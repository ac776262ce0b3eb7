"""Heads for windows that slide: each runs in its streaming form where it has one, else as it is."""

from __future__ import annotations

from collections import deque
from collections.abc import Mapping, Sequence
from functools import partial

import torch
from torch import Tensor

from step_ros.probes.core_threads import CoreThreads
from step_ros.probes.head import Head
from step_ros.probes.step import StepProbe
from step_ros.probes.streaming_step import StreamingStep, memory_for

MODES = ("float32", "fast")
DEFAULT_MEMORY_LIMIT_MB = 1024

# From so many tokens a frame on bfloat16 pays, and over so many in a window its rounding averages out.
_LEAST_PATCHES_FOR_BFLOAT16 = 128
_LEAST_TOKENS_FOR_BFLOAT16 = 1024

# Heads share a batch while a block of scores between two frames stays in the core's own cache.
_BLOCK_BYTES = 1024 * 1024


class StreamingHeads:
    """Every task's answer for the newest T grid times, at the cost of what is new.

    A STEP head on a CPU streams (`StreamingStep`): the answer is the plain module's, to 1e-5 of the largest
    logit in mode ``"float32"`` and to 2e-3 in mode ``"fast"``, which multiplies in bfloat16 where the
    processor can and the window is large enough to gain by it. Any other head, one on a GPU (where fused
    attention over the whole window is at home), and whatever would go beyond the memory limit run the plain
    module on the window's tokens; so does a STEP head while its scores are beyond what streaming can hold
    exactly. The caller sees no difference.

    Weights are copied at construction: build it anew after changing a head.

    Args:
        heads: by task, in evaluation mode; they agree in T.
        mode: one of `MODES`.
        memory_limit_mb: what `memory_bytes` may reach, in MiB; tasks stream in their order while it lasts,
            and 0 lets none stream.
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
        self._streams: dict[tuple[str, ...], list[StreamingStep]] = {}
        self._memory_bytes = 0
        for tasks in _batches(self.heads, self._threads.count):
            self._stream(tasks, mode, memory_limit_mb * 1024 * 1024)
        self._tokens: deque[Tensor] = deque(maxlen=self.num_frames)  # P D each, oldest first
        self._newest = 0

    @property
    def memory_bytes(self) -> int:
        """What the streaming forms keep, all allocated at construction; the window's tokens come on top."""
        return self._memory_bytes

    @property
    def streaming_tasks(self) -> tuple[str, ...]:
        """The tasks that have a streaming form and memory for it."""
        return tuple(task for tasks in self._streams for task in tasks)

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
        window: Tensor | None = None
        logits: dict[str, Tensor] = {}
        for task, head in self.heads.items():
            row = streamed.get(task)
            if row is None:
                if window is None:
                    window = torch.stack(list(self._tokens))[None]  # 1 T P D
                row = head(window.to(head.probe.cls.device))[0]
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

    def reset(self) -> None:
        """Start with an empty window."""
        self._tokens.clear()
        for parts in self._streams.values():
            for part in parts:
                part.reset()

    def _push_position(self, tokens: Tensor) -> None:
        """Slide by one step."""
        threads = range(self._threads.count if self._streams else 0)
        self._threads.run([partial(self._push_part, thread, tokens) for thread in threads])
        self._tokens.append(tokens)

    @torch.inference_mode()
    def _push_part(self, thread: int, tokens: Tensor) -> None:
        """One thread's share of the attention heads of all batches."""
        for tasks, parts in self._streams.items():
            if thread < len(parts):
                heads = [self.heads[task] for task in tasks]
                normalised = [head.normalization(tokens.to(head.probe.cls)) for head in heads]
                parts[thread].push(torch.stack(normalised))

    def _stream(self, tasks: Sequence[str], mode: str, limit_bytes: float) -> None:
        """Let as many of these tasks stream in one batch as the memory allows."""
        for count in range(len(tasks), 0, -1):
            probes = [self.heads[task].probe for task in tasks[:count]]
            num_patches = self.heads[tasks[0]].config.backbone.num_patches
            block_dtype = _block_dtype(mode, self.num_frames, num_patches, probes[0].cls.dtype)
            shares = _shares(probes[0].num_heads, self._threads.count)
            needed = sum(memory_for(probes, share, num_patches, block_dtype) for share in shares)
            if self._memory_bytes + needed <= limit_bytes:
                self._streams[tuple(tasks[:count])] = [
                    StreamingStep(probes, share, num_patches, block_dtype) for share in shares
                ]
                self._memory_bytes += needed
                return


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
    """The tasks that can stream, in batches of alike heads that share one computation."""
    kinds: dict[tuple[int, int, torch.dtype], list[str]] = {}
    for task, head in heads.items():
        if type(head.probe) is StepProbe and head.probe.cls.device.type == "cpu":
            kind = (head.config.probe.dim, head.probe.num_heads, head.probe.cls.dtype)
            kinds.setdefault(kind, []).append(task)
    batches: list[list[str]] = []
    for alike in kinds.values():
        head = heads[alike[0]]
        share = max(map(len, _shares(head.probe.num_heads, num_threads)))
        one = share * head.config.backbone.num_patches**2 * head.probe.cls.dtype.itemsize
        size = max(1, _BLOCK_BYTES // one)
        batches += [alike[start : start + size] for start in range(0, len(alike), size)]
    return batches


def _block_dtype(mode: str, num_frames: int, num_patches: int, exact: torch.dtype) -> torch.dtype:
    """bfloat16 where it is asked for, pays, and the processor has instructions for it."""
    large = num_patches >= _LEAST_PATCHES_FOR_BFLOAT16
    large = large and num_frames * num_patches >= _LEAST_TOKENS_FOR_BFLOAT16
    fast = mode == "fast" and large and exact == torch.float32
    return torch.bfloat16 if fast and _multiplies_bfloat16() else exact


def _multiplies_bfloat16() -> bool:
    # Older versions of torch do not tell.
    capabilities: dict[str, object] = getattr(torch.cpu, "get_capabilities", dict)()
    return any(bool(has) for name, has in capabilities.items() if name.endswith("bf16"))
