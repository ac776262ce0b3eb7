"""The whole online pipeline with no ROS in it: frames in, every task's answer out."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
import torch
from torch import Tensor

from step_ros.backbones import Backbone
from step_ros.frames import ClipSpec, Frame, GridSampler, Sampled
from step_ros.perception.prediction import Perception, Prediction
from step_ros.perception.token_window import TokenWindow
from step_ros.probes import Head, HeadError, StreamingHeads
from step_ros.probes.streaming.heads import DEFAULT_MEMORY_LIMIT_MB


@dataclass(frozen=True)
class PreparedHeads:
    """Heads that are ready to take a perceiver over; see `Perceiver.prepare`."""

    heads: dict[str, Head]
    """By task."""
    clip: ClipSpec
    """The window that they see."""
    streaming: StreamingHeads
    """With what was in the window when they were prepared."""
    newest_index: int | None
    """Grid index of the newest tokens that they have seen."""


class Perceiver:
    """Encodes each frame that the time grid picks exactly once, and lets every head read the same tokens.

    `push` does everything. `PerceptionWorker` takes its parts apart, to give way under load and to encode
    the frames of several cameras in one pass: `select` is cheap, `encode` costs one backbone pass and then
    `take`, what the frame adds to the streaming heads; `perceive` costs one pass of every head that does not
    stream; `look_ahead` is for when there is nothing else to do.

    Args:
        backbone: the backbone that all heads were trained on.
        heads: by task; they must agree about the window. Their weights are copied.
        max_held: see `TokenWindow`.
        window_seconds: the time that the window spans; None is what the heads were trained on.
        heads_mode: ``"float32"`` or ``"fast"``, see `StreamingHeads`.
        heads_memory_mb: most memory, in MiB, that heads may take to stream; 0 lets none stream.

    Raises:
        HeadError: there are no heads, or they do not fit each other, their names or the backbone.
        ValueError: an option is out of range.

    Example:
        >>> perceiver = Perceiver(backbone, {"atomic_action": head})  # doctest: +SKIP
        >>> for frame in read_video("drawer.mp4"):  # doctest: +SKIP
        ...     perception = perceiver.push(frame)
    """

    def __init__(
        self,
        backbone: Backbone,
        heads: Mapping[str, Head],
        *,
        max_held: int | None = None,
        window_seconds: float | None = None,
        heads_mode: str = "fast",
        heads_memory_mb: float = DEFAULT_MEMORY_LIMIT_MB,
    ) -> None:
        self.backbone = backbone
        self._heads_mode, self._heads_memory_mb = heads_mode, heads_memory_mb
        self._max_held = max_held
        self.heads = dict(heads)
        self.clip = self._check_heads(self.heads, window_seconds)
        self._sampler = GridSampler(self.clip)
        self._window = self._new_window(self.clip)
        self._streaming = self._stream(self.heads)
        self._generation = 0
        self._newest_stamp_ns = 0
        self._fates: Counter[str] = Counter(received=0, encoded=0, inference_error=0)

    @property
    def streaming_tasks(self) -> tuple[str, ...]:
        """The tasks whose heads stream; the others run as plain modules."""
        return self._streaming.streaming_tasks

    @property
    def streaming_memory_mb(self) -> float:
        """What streaming heads keep, in MiB."""
        return self._streaming.memory_bytes / 2**20

    def push(self, frame: Frame) -> Perception | None:
        """Take the next frame; return a perception when the grid moved on and the window is whole."""
        sampled = self.select(frame)
        if sampled is None:
            return None
        self.encode(sampled)
        perception = self.perceive()
        self.look_ahead()
        return perception

    def select(self, frame: Frame) -> Sampled | None:
        """Take the next frame; return the one, if any, that has just become final for its grid time."""
        sampled = self._sampler.push(frame)
        self._fates["received"] += 1
        return sampled

    def encode(self, sampled: Sampled) -> None:
        """Encode a selected frame and put its tokens into the window: the one backbone pass it ever gets.

        An exception in the backbone or a head is counted and passed on; the window then misses the frame.
        """
        try:
            tokens = self.backbone.encode(sampled.frame.rgb[None])[0]  # P D
        except Exception:
            self._fates["inference_error"] += 1
            raise
        self.take(sampled, tokens)

    def take(self, sampled: Sampled, tokens: Tensor) -> None:
        """Put the tokens (P, D) of a selected frame into the window.

        A frame of a new generation (time jumped, or `reset`) starts an empty window. An exception in a head
        is counted and passed on; the window then misses the frame.
        """
        # By name here: a thread that hangs in a head must not write to what `start_over` has put there since.
        window, streaming = self._window, self._streaming
        if sampled.generation != self._generation:
            window.reset()
            streaming.reset()
            self._generation = sampled.generation
        try:
            streaming.push(sampled.grid_index, tokens)
        except Exception:
            self._fates["inference_error"] += 1
            raise
        window.put(sampled.grid_index, tokens)
        self._newest_stamp_ns = sampled.frame.stamp_ns
        self._fates["encoded"] += 1

    def perceive(self) -> Perception | None:
        """Every head's answer for the window; None while the window is not whole."""
        oldest = self._window.oldest_index
        answers = self._streaming.probabilities() if self._window.is_whole() else None
        if answers is None or oldest is None:
            return None
        predictions = {task: self._prediction(task, answer) for task, answer in answers.items()}
        return Perception(
            stamp_ns=self._newest_stamp_ns,
            window_start_ns=self.clip.grid_time_ns(oldest),
            predictions=predictions,
            held_positions=self._window.held_positions(),
        )

    def look_ahead(self) -> None:
        """Do what can be done before the next frame comes; see `StreamingHeads.look_ahead`."""
        self._streaming.look_ahead()

    def window_tokens(self) -> Tensor | None:
        """The window's tokens (T, P, D), oldest first; None while it is not whole."""
        return self._window.tokens()

    def read_backwards(self, tasks: Collection[str]) -> dict[str, Prediction]:
        """What heads say of the window with its frames in reverse order.

        It costs one plain pass of each head, and none of the backbone; see `DirectionCheck`.

        Args:
            tasks: whose heads are asked; those that there are no heads for are left out.

        Returns:
            Predictions by task; empty while the window is not whole.
        """
        window = self.window_tokens()
        if window is None:
            return {}
        backwards = window.flip(0)[None]
        with torch.inference_mode():
            return {
                task: self._prediction(task, head.probabilities(backwards.to(head.device))[0])
                for task, head in self.heads.items()
                if task in tasks
            }

    @property
    def max_held(self) -> int:
        """See `TokenWindow`; None, when set, is half of the window."""
        return self._window.max_held

    @max_held.setter
    def max_held(self, value: int | None) -> None:
        most = self.clip.num_frames - 1
        if value is not None and not 0 <= value <= most:
            raise ValueError(f"max_held must be from 0 to T - 1 = {most}, got {value}")
        self._max_held = value
        self._window.max_held = self.clip.num_frames // 2 if value is None else value
        if self._window.max_held > self._streaming.longest_gap:
            # They have begun anew after gaps that now are none.
            self._streaming.longest_gap = self._window.max_held
            self._streaming.reset()
            for grid_index, tokens in self._window.kept():
                self._streaming.push(grid_index, tokens)
        self._streaming.longest_gap = self._window.max_held

    @property
    def held_positions(self) -> int | None:
        """How many positions of the window show older tokens; None while the window is not whole."""
        return self._window.held_positions() if self._window.is_whole() else None

    def prepare(
        self,
        heads: Mapping[str, Head],
        *,
        window_seconds: float | None = None,
        kept: Sequence[tuple[int, Tensor]] = (),
    ) -> PreparedHeads:
        """Make other heads ready to take over, in any thread, while those of now go on.

        Args:
            heads: by task; they must agree about the window.
            window_seconds: as at construction.
            kept: what `kept` gave; with it the heads answer from the first frame on.

        Raises:
            HeadError: they do not fit each other or the backbone; nothing has changed.
            ValueError: `window_seconds` makes no sense with their T.
        """
        clip = self._check_heads(heads, window_seconds)
        if self._max_held is not None and self._max_held >= clip.num_frames:
            raise ValueError(
                f"max_held is {self._max_held}, but these heads see {clip.num_frames} frames; lower it first"
            )
        streaming = self._stream(heads)
        known = list(kept) if clip == self.clip else []
        for grid_index, tokens in known:
            streaming.push(grid_index, tokens)
        return PreparedHeads(dict(heads), clip, streaming, known[-1][0] if known else None)

    def kept(self) -> list[tuple[int, Tensor]]:
        """Grid index and tokens (P, D) of everything in the window, oldest first."""
        return self._window.kept()

    def adopt(self, prepared: PreparedHeads) -> None:
        """Answer with other heads from here on.

        If they see another window than those before, it starts empty.
        """
        self.heads = prepared.heads
        self._streaming = prepared.streaming
        if prepared.clip != self.clip:
            self._sampler.reset()
            counts, restarts = self._sampler.counts, self._sampler.restarts
            self.clip = prepared.clip
            self._sampler = GridSampler(self.clip)
            self._sampler.counts, self._sampler.restarts = counts, restarts
            self._window = self._new_window(self.clip)
            self._streaming.longest_gap = self._window.max_held
            self._streaming.reset()
            return
        self._streaming.longest_gap = self._window.max_held
        kept = self._window.kept()
        if prepared.newest_index is None or not kept or prepared.newest_index < kept[0][0] - 1:
            self._streaming.reset()
            missing = kept
        else:
            missing = [(index, tokens) for index, tokens in kept if index > prepared.newest_index]
            if not missing and kept[-1][0] != prepared.newest_index:  # the window began anew, earlier in time
                self._streaming.reset()
                missing = kept
        for grid_index, tokens in missing:
            self._streaming.push(grid_index, tokens)

    def start_over(self) -> None:
        """Replace everything that a thread which hangs in here may still write to; the counts go on."""
        self._sampler.reset()
        self._window = self._new_window(self.clip)
        self._streaming = self._stream(self.heads)

    def reset(self) -> None:
        """Forget all frames and start with an empty window; the counts go on."""
        self._sampler.reset()
        self._window.reset()
        self._streaming.reset()

    def warm_up(self, batch: int = 1) -> None:
        """Fill a window with a black frame, so that the first real one is not late; ends with a `reset`.

        Args:
            batch: up to so many frames go through the backbone in one pass, those of all cameras.
        """
        height, width = self.backbone.image_size
        for size in range(batch, 0, -1):
            tokens = self.backbone.encode(np.zeros((size, height, width, 3), np.uint8))[0]  # P D
        self.reset()
        for position in range(self.clip.num_frames):
            self._streaming.push(position, tokens)
        self._streaming.probabilities()
        self.reset()

    @property
    def counts(self) -> Counter[str]:
        """What became of the frames.

        With `push`, received = encoded + inference_error + skipped_by_sampling + duplicate_stamp +
        late_frame + pending. With `select` and `encode` apart, the caller has those that wait to be encoded.
        """
        return Counter({**self._fates, **self._sampler.counts, "pending": self._sampler.pending})

    @property
    def restarts(self) -> Counter[str]:
        """How often time jumped: stamp_jumped_back, stamp_jumped_ahead."""
        return Counter(self._sampler.restarts)

    def _check_heads(self, heads: Mapping[str, Head], window_seconds: float | None) -> ClipSpec:
        """The window that all these heads see, after making sure that they fit."""
        clip = _common_clip(heads)
        for head in heads.values():
            head.check_backbone(self.backbone.identity)
            head.eval()
        return clip if window_seconds is None else replace(clip, window_seconds=window_seconds)

    def _new_window(self, clip: ClipSpec) -> TokenWindow:
        return TokenWindow(clip, self.backbone.num_patches, self.backbone.dim, max_held=self._max_held)

    def _stream(self, heads: Mapping[str, Head]) -> StreamingHeads:
        num_frames = next(iter(heads.values())).config.clip.num_frames
        # Windows with a longer gap are not whole, so nothing before it is seen again.
        gap = self._window.max_held if self._window.clip.num_frames == num_frames else None
        return StreamingHeads(
            heads,
            mode=self._heads_mode,
            memory_limit_mb=self._heads_memory_mb,
            least_saving=1.0,
            longest_gap=gap,
        )

    def _prediction(self, task: str, probabilities: Tensor) -> Prediction:
        labels = self.heads[task].config.labels
        return Prediction(task, labels, probabilities.cpu().numpy().astype(np.float32))


def _common_clip(heads: Mapping[str, Head]) -> ClipSpec:
    """The window that all heads see."""
    if not heads:
        raise HeadError("a perceiver needs at least one head")
    first, *others = heads.items()
    for task, head in heads.items():
        if head.config.task != task:
            raise HeadError(f"the head given for task {task!r} answers {head.config.task!r}")
    for task, head in others:
        if head.config.clip != first[1].config.clip:
            raise HeadError(
                f"all heads must see the same window, but {first[0]!r} has {first[1].config.clip} "
                f"and {task!r} has {head.config.clip}"
            )
    return first[1].config.clip
