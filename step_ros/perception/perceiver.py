"""The whole online pipeline with no ROS in it: frames in, every task's answer out."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Mapping, Sequence

import numpy as np
import torch
from torch import Tensor

from step_ros.backbones import Backbone
from step_ros.frames import Frame, GridSampler, Sampled
from step_ros.perception.ledger import ByDesign, Clock, Fate, Inference, Ledger, UnderWay, Used
from step_ros.perception.not_finite import NotFiniteError
from step_ros.perception.prediction import Perception, Prediction
from step_ros.perception.prepared_heads import PreparedHeads, common_window
from step_ros.perception.thinning import most_stride
from step_ros.perception.window_pass import WindowPass
from step_ros.probes import Head, StreamingHeads
from step_ros.probes.streaming.heads import DEFAULT_MEMORY_LIMIT_MB

_SAMPLING_FATES: dict[str, Fate] = {
    "skipped_by_sampling": ByDesign.SKIPPED_BY_SAMPLING,
    "late_frame": Clock.LATE_FRAME,
    "duplicate_stamp": Clock.DUPLICATE_STAMP,
}
"""What `GridSampler.counts` counts."""


class Perceiver:
    """Encodes each frame that the time grid picks exactly once, and lets every head read the same tokens.

    `push` is one tick, from a frame to what is said of it. `PerceptionWorker` and `Replay` walk the same
    steps in the same order, but encode several frames in one pass of the backbone: `select` is cheap, and so
    is `take` beside that pass; `perceive` costs one pass of every head that does not stream; `look_ahead` is
    for when there is nothing else to do. Who walks them one by one settles in `ledger` what became of the
    frames that `select` gave.

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
        self.ledger = Ledger()
        """Of the frames that came; what the time grid did with them, and the sum, is in `account`."""
        self._heads_mode, self._heads_memory_mb = heads_mode, heads_memory_mb
        self.heads = dict(heads)
        self.clip = common_window(self.heads, backbone.identity, window_seconds)
        self._sampler = GridSampler(self.clip)
        self._window = WindowPass(self.clip, backbone.num_patches, backbone.dim, max_held=max_held)
        self._streaming = self._stream(self.heads, self.max_held)
        self._doubtful = False  # whether the newest tokens that were looked at were not finite

    @property
    def streaming_tasks(self) -> tuple[str, ...]:
        """The tasks whose heads stream; the others run as plain modules."""
        return self._streaming.streaming_tasks

    @property
    def streaming_memory_mb(self) -> float:
        """What streaming heads keep, in MiB."""
        return self._streaming.memory_bytes / 2**20

    def push(self, frame: Frame) -> Perception | None:
        """One tick: take the next frame, and say what there is to say of the window that ends with it.

        Returns:
            Every task's answer; None while the frame's step of the grid goes on, or the window is not whole.

        Raises:
            Exception: of the backbone or a head; the frame is counted as lost, and held over.
            NotFiniteError: see `take` and `perceive`.
        """
        sampled = self.select(frame)
        if sampled is None:
            return None
        try:
            tokens = self.backbone.encode(sampled.frame.rgb[None])[0]  # P D, the only pass it ever gets
            self.take(sampled, tokens)
        except Exception:
            self.ledger.settle(Inference.INFERENCE_ERROR)
            raise
        self.ledger.settle(Used.ENCODED)
        perception = self.perceive()
        self.look_ahead()
        return perception

    def select(self, frame: Frame) -> Sampled | None:
        """Take the next frame; return the one, if any, that has just become final for its grid time."""
        self.ledger.receive()
        return self._sampler.push(frame)

    def take(self, sampled: Sampled, tokens: Tensor) -> None:
        """Put the tokens (P, D) of a selected frame into the window and the streaming heads.

        A frame of a new generation (time jumped, or `reset`) starts an empty window. After an exception in a
        head the window misses the frame.

        Raises:
            NotFiniteError: the tokens hold NaN or infinity, as others since the last answer did.
        """
        if self._doubtful and not bool(torch.isfinite(tokens).all()):
            raise NotFiniteError(self.heads, frames=1)
        # By name here: a thread that hangs in a head must not write to what `start_over` has put there since.
        window, streaming = self._window, self._streaming
        if window.restart_if_jumped(sampled):
            streaming.reset()
        streaming.push(sampled.grid_index, tokens)
        window.put(sampled, tokens)

    def perceive(self) -> Perception | None:
        """Every head's answer for the window; None while the window is not whole.

        Of what is no number nothing is said: a head that gives it is left out. Tokens that hold it are
        forgotten, which the answers tell: nobody need look at all tokens of every frame.

        Raises:
            NotFiniteError: tokens in the window hold NaN or infinity, or all answers do.
        """
        window = self._window
        answers = self._streaming.probabilities() if window.tokens.is_whole() else None
        if answers is None or window.start_ns is None:
            return None
        predictions: dict[str, Prediction] = {}
        not_finite: list[str] = []
        for task, answer in answers.items():
            try:
                predictions[task] = self._prediction(task, answer)
            except NotFiniteError:
                not_finite.append(task)
        if not_finite:
            frames = self._forget_not_finite()
            if frames or not predictions:
                raise NotFiniteError(self.heads if frames else not_finite, frames)
        self._doubtful = False
        return Perception(
            stamp_ns=window.newest_stamp_ns,
            window_start_ns=window.start_ns,
            predictions=predictions,
            held_positions=window.tokens.held_positions(),
            not_finite=tuple(not_finite),
        )

    def look_ahead(self) -> None:
        """Do what can be done before the next frame comes; see `StreamingHeads.look_ahead`."""
        self._streaming.look_ahead()

    def window_tokens(self) -> Tensor | None:
        """The window's tokens (T, P, D), oldest first; None while it is not whole."""
        return self._window.tokens.tokens()

    def read_backwards(self, tasks: Collection[str]) -> dict[str, Prediction]:
        """What heads say of the window with its frames in reverse order.

        It costs one plain pass of each head, and none of the backbone; see `DirectionCheck`.

        Args:
            tasks: whose heads are asked; those that there are no heads for are left out.

        Returns:
            Predictions by task; empty while the window is not whole.

        Raises:
            NotFiniteError: a head gives what is no number.
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
        self._window.max_held = value
        self._follow_max_held()

    @property
    def most_stride(self) -> int:
        """One frame in so many steps of the grid is the least that the window can do with."""
        return most_stride(self.clip.num_frames, self._window.asked_max_held)

    def thin(self, stride: int) -> None:
        """Expect a frame in `stride` steps only, until told otherwise; see `Thinning`."""
        self._window.thin(stride)
        self._follow_max_held()

    def _follow_max_held(self) -> None:
        if self.max_held > self._streaming.longest_gap:
            # They have begun anew after gaps that now are none.
            self._streaming.longest_gap = self.max_held
            self._stream_window()
        self._streaming.longest_gap = self.max_held

    @property
    def held_positions(self) -> int | None:
        """How many positions of the window show older tokens; None while the window is not whole."""
        tokens = self._window.tokens
        return tokens.held_positions() if tokens.is_whole() else None

    def new_window(self) -> WindowPass:
        """An empty window like the one that the heads see, for who looks at frames without asking them."""
        return self._window.emptied()

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
        clip = common_window(heads, self.backbone.identity, window_seconds)
        asked = self._window.asked_max_held
        if asked is not None and asked >= clip.num_frames:
            raise ValueError(
                f"max_held is {asked}, but these heads see {clip.num_frames} frames; lower it first"
            )
        same_length = clip.num_frames == self.clip.num_frames
        streaming = self._stream(heads, self.max_held if same_length else None)
        known = list(kept) if clip == self.clip else []
        for grid_index, tokens in known:
            streaming.push(grid_index, tokens)
        return PreparedHeads(dict(heads), clip, streaming, known[-1][0] if known else None)

    def kept(self) -> list[tuple[int, Tensor]]:
        """Grid index and tokens (P, D) of everything in the window, oldest first; all of it is finite."""
        self._forget_not_finite()
        return self._window.tokens.kept()

    def adopt(self, prepared: PreparedHeads) -> None:
        """Answer with other heads from here on.

        If they see another window than those before, it starts empty, and frames that `select` gave before
        are none of its.
        """
        if prepared.clip != self.clip:
            self._sampler.reset()
            counts, restarts = self._sampler.counts, self._sampler.restarts
            self.clip = prepared.clip
            self._sampler = GridSampler(self.clip)
            self._sampler.counts, self._sampler.restarts = counts, restarts
            self._window = self._window.emptied(self.clip)
        self.heads = prepared.heads
        self._streaming = prepared.catch_up(self._window)

    def start_over(self) -> None:
        """Replace everything that a thread which hangs in here may still write to; the counts go on."""
        self._sampler.reset()
        self._window = self._window.emptied()
        self._streaming = self._stream(self.heads, self.max_held)

    def reset(self) -> None:
        """Forget all frames and start with an empty window; the counts go on."""
        self._sampler.reset()
        self._window.tokens.reset()
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

    def account(self) -> Ledger:
        """What became of the frames, what the time grid did with them included.

        With `push` the books balance. With its steps apart, who walks them has the frames that wait to be
        encoded.
        """
        counts = {_SAMPLING_FATES[name]: count for name, count in self._sampler.counts.items()}
        sampling = Ledger(counts={**counts, UnderWay.PENDING: self._sampler.pending})
        return self.ledger.followed_by(sampling)

    @property
    def restarts(self) -> Counter[str]:
        """How often time jumped: stamp_jumped_back, stamp_jumped_ahead."""
        return Counter(self._sampler.restarts)

    def _stream(self, heads: Mapping[str, Head], longest_gap: int | None) -> StreamingHeads:
        return StreamingHeads(
            heads,
            mode=self._heads_mode,
            memory_limit_mb=self._heads_memory_mb,
            least_saving=1.0,
            # Windows with a longer gap are not whole, so nothing before it is seen again.
            longest_gap=longest_gap,
        )

    def _forget_not_finite(self) -> int:
        """Go on as if frames whose tokens hold NaN or infinity had not come; returns how many did."""
        frames = self._window.forget_not_finite()
        if frames:
            self._doubtful = True
            self._stream_window()  # else the heads would keep them for a whole window
        return frames

    def _stream_window(self) -> None:
        """Show the heads what is in the window, and nothing else."""
        self._streaming.reset()
        for grid_index, tokens in self._window.tokens.kept():
            self._streaming.push(grid_index, tokens)

    def _prediction(self, task: str, probabilities: Tensor) -> Prediction:
        labels = self.heads[task].config.labels
        return Prediction(task, labels, probabilities.cpu().numpy().astype(np.float32))
