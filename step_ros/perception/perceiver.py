"""The whole online pipeline with no ROS in it: frames in, every task's answer out."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping

import numpy as np

from step_ros.backbones import Backbone
from step_ros.frames import ClipSpec, Frame, GridSampler, Sampled
from step_ros.perception.prediction import Perception, Prediction
from step_ros.perception.token_window import TokenWindow
from step_ros.probes import Head, HeadError, StreamingHeads
from step_ros.probes.streaming import DEFAULT_MEMORY_LIMIT_MB


class Perceiver:
    """Encodes each frame that the time grid picks exactly once, and lets every head read the same tokens.

    `push` does everything. `PerceptionWorker` takes its three parts apart, to give way under load: `select`
    is cheap, `encode` costs one backbone pass and what the frame adds to the streaming heads, `perceive` one
    pass of every head that does not stream.

    Args:
        backbone: the backbone that all heads were trained on.
        heads: by task; they must agree about the window. Their weights are copied.
        max_held: see `TokenWindow`.
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
        heads_mode: str = "float32",
        heads_memory_mb: float = DEFAULT_MEMORY_LIMIT_MB,
    ) -> None:
        self.backbone = backbone
        self.heads = dict(heads)
        self.clip = _common_clip(self.heads)
        for head in self.heads.values():
            head.check_backbone(backbone.identity)
            head.eval()
        self._sampler = GridSampler(self.clip)
        self._window = TokenWindow(self.clip, backbone.num_patches, backbone.dim, max_held=max_held)
        # Windows with a longer gap are not whole, so nothing before it is seen again.
        self._streaming = StreamingHeads(
            self.heads,
            mode=heads_mode,
            memory_limit_mb=heads_memory_mb,
            longest_gap=self._window.max_held,
        )
        self._generation = 0
        self._newest_stamp_ns = 0
        self._fates: Counter[str] = Counter(received=0, encoded=0, inference_error=0)

    def push(self, frame: Frame) -> Perception | None:
        """Take the next frame; return a perception when the grid moved on and the window is whole."""
        sampled = self.select(frame)
        if sampled is None:
            return None
        self.encode(sampled)
        return self.perceive()

    def select(self, frame: Frame) -> Sampled | None:
        """Take the next frame; return the one, if any, that has just become final for its grid time."""
        sampled = self._sampler.push(frame)
        self._fates["received"] += 1
        return sampled

    def encode(self, sampled: Sampled) -> None:
        """Encode a selected frame and put its tokens into the window: the one backbone pass it ever gets.

        A frame of a new generation (time jumped, or `reset`) starts an empty window. An exception in the
        backbone or a head is counted and passed on; the window then misses the frame.
        """
        if sampled.generation != self._generation:
            self._window.reset()
            self._streaming.reset()
            self._generation = sampled.generation
        try:
            tokens = self.backbone.encode(sampled.frame.rgb[None])[0]  # P D
            self._streaming.push(sampled.grid_index, tokens)
        except Exception:
            self._fates["inference_error"] += 1
            raise
        self._window.put(sampled.grid_index, tokens)
        self._newest_stamp_ns = sampled.frame.stamp_ns
        self._fates["encoded"] += 1

    def perceive(self) -> Perception | None:
        """Every head's answer for the window; None while the window is not whole."""
        oldest = self._window.oldest_index
        answers = self._streaming.probabilities() if self._window.is_whole() else None
        if answers is None or oldest is None:
            return None
        predictions = {
            task: Prediction(
                task, self.heads[task].config.labels, probabilities.cpu().numpy().astype(np.float32)
            )
            for task, probabilities in answers.items()
        }
        return Perception(
            stamp_ns=self._newest_stamp_ns,
            window_start_ns=self.clip.grid_time_ns(oldest),
            predictions=predictions,
            held_positions=self._window.held_positions(),
        )

    def reset(self) -> None:
        """Forget all frames and start with an empty window; the counts go on."""
        self._sampler.reset()
        self._window.reset()
        self._streaming.reset()

    def warm_up(self) -> None:
        """Fill a window with a black frame, so that the first real one is not late; ends with a `reset`."""
        height, width = self.backbone.image_size
        tokens = self.backbone.encode(np.zeros((1, height, width, 3), np.uint8))[0]  # P D
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
