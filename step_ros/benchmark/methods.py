"""The ways to come from frames to every task's probabilities that are compared with each other."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections import deque
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import ClassVar

import torch
from torch import Tensor

from step_ros.backbones import Backbone
from step_ros.benchmark.flops import backbone_flops, head_flops, streaming_flops
from step_ros.benchmark.naive_head import NaiveHead
from step_ros.probes import Head, StreamingHeads


class Method(ABC):
    """Takes a frame of each camera and answers every task, for a window of T frames.

    Args:
        backbone: with its engine.
        heads: by task, all with the same T.
        cameras: streams of frames.
    """

    name: ClassVar[str]

    def __init__(self, backbone: Backbone, heads: Mapping[str, Head], cameras: int) -> None:
        self.backbone, self.heads, self.cameras = backbone, dict(heads), cameras
        self.frames = next(iter(self.heads.values())).config.clip.num_frames
        self.device = backbone.device

    def update(self, frames: Tensor) -> Tensor:
        """All tasks' probabilities, on the host, once T frames are in.

        Args:
            frames: (cameras, H, W, 3) uint8, on the host.

        Returns:
            Probabilities (cameras, tasks, K).
        """
        self.show(frames)
        return torch.softmax(self.logits().float(), dim=-1).cpu()

    def look_ahead(self) -> None:
        """Do what can be done before the next frames come: nothing, unless a method says otherwise."""
        return

    def show(self, frames: Tensor) -> None:
        """Move the window on by a frame of each camera, without an answer."""
        with torch.inference_mode():
            self._take(frames)

    def logits(self) -> Tensor:
        """What the probabilities are made of, on the backbone's device."""
        with torch.inference_mode(), _narrow_on_gpu(self.device):
            return self._answer()

    @abstractmethod
    def _take(self, frames: Tensor) -> None:
        """What can be done as soon as the frames (cameras, H, W, 3) are there."""

    @abstractmethod
    def _answer(self) -> Tensor:
        """Logits (cameras, tasks, K), once T frames are in."""

    @abstractmethod
    def flops(self) -> int:
        """Of the matrix products of an update with a full window, as FlopCounterMode counts them."""

    def bytes_moved(self) -> int:
        """Bytes that an update has to read at least: weights, and what it keeps from one to the next."""
        return self._backbone_bytes() + self._heads_bytes()

    @property
    def heads_memory_bytes(self) -> int:
        """Bytes that streaming heads keep; 0 where there are none."""
        return 0

    def _backbone_bytes(self) -> int:
        weights = sum(weight.numel() for weight in self.backbone.network.parameters())
        return weights * self.backbone.engine.engine.precision.itemsize

    def _heads_bytes(self) -> int:
        return sum(weight.nbytes for head in self.heads.values() for weight in head.parameters())


class _WindowMethod(Method):
    """Keeps of each frame in the window what it needs: the frame itself, if nothing else is said."""

    def __init__(self, backbone: Backbone, heads: Mapping[str, Head], cameras: int) -> None:
        super().__init__(backbone, heads, cameras)
        self._window: deque[Tensor] = deque(maxlen=self.frames)

    def _take(self, frames: Tensor) -> None:
        self._window.append(frames.to(self.device))

    def _stacked(self) -> Tensor:
        """What is kept, of all cameras and T frames."""
        return torch.stack(list(self._window), dim=1)


class Recompute(_WindowMethod):
    """What one would write with transformers and nn.MultiheadAttention: the whole window at each update."""

    name = "recompute"

    def __init__(self, backbone: Backbone, heads: Mapping[str, Head], cameras: int) -> None:
        super().__init__(backbone, heads, cameras)
        self._naive = [NaiveHead(head) for head in self.heads.values()]

    def _answer(self) -> Tensor:
        rgb = self._stacked().flatten(0, 1)  # cameras*T H W 3
        tokens = self.backbone.encode(rgb).unflatten(0, (self.cameras, self.frames))  # cameras T P D
        return torch.stack([head(tokens) for head in self._naive], dim=1)

    def flops(self) -> int:
        """See `Method.flops`."""
        heads = sum(head_flops(head, self.frames, self.backbone.identity) for head in self._naive)
        return self.cameras * (self.frames * backbone_flops(self.backbone) + heads)


class Cached(_WindowMethod):
    """Each frame is encoded once and its tokens are kept; the heads are plain modules."""

    name = "cached"

    def _take(self, frames: Tensor) -> None:
        self._window.append(self.backbone.encode(frames))

    def _answer(self) -> Tensor:
        tokens = self._stacked()  # cameras T P D
        return torch.stack([head(tokens) for head in self.heads.values()], dim=1)

    def flops(self) -> int:
        """See `Method.flops`."""
        heads = sum(head_flops(head, self.frames, self.backbone.identity) for head in self.heads.values())
        return self.cameras * (backbone_flops(self.backbone) + heads)

    def bytes_moved(self) -> int:
        """See `Method.bytes_moved`."""
        tokens = self.cameras * self.frames * self.backbone.num_patches * self.backbone.dim * 4
        return super().bytes_moved() + tokens


class Streaming(Method):
    """Each frame is encoded once, and so is what it adds to the attention."""

    name = "streaming"

    def __init__(self, backbone: Backbone, heads: Mapping[str, Head], cameras: int) -> None:
        super().__init__(backbone, heads, cameras)
        self._streams = [StreamingHeads(self.heads, mode="fast") for _ in range(cameras)]
        self._count = 0

    def _take(self, frames: Tensor) -> None:
        for stream, tokens in zip(self._streams, self.backbone.encode(frames), strict=True):
            stream.push(self._count, tokens)
        self._count += 1

    def _answer(self) -> Tensor:
        answers = (stream.logits() or {} for stream in self._streams)
        return torch.stack([torch.stack(list(each.values())) for each in answers])

    def look_ahead(self) -> None:
        """See `Method.look_ahead`."""
        for stream in self._streams:
            stream.look_ahead()

    def flops(self) -> int:
        """See `Method.flops`."""
        return self.cameras * (backbone_flops(self.backbone) + streaming_flops(self.heads))

    def bytes_moved(self) -> int:
        """See `Method.bytes_moved`."""
        return super().bytes_moved() + self.heads_memory_bytes

    @property
    def heads_memory_bytes(self) -> int:
        """See `Method.heads_memory_bytes`."""
        return sum(stream.memory_bytes for stream in self._streams)


class MultiPass(_WindowMethod):
    """What adapters inside the backbone cost: the window passes through it once for each task.

    The adapters themselves, a few per cent, are left out; a linear classifier on the mean token answers.
    """

    name = "multi_pass"

    def _answer(self) -> Tensor:
        rgb = self._stacked().flatten(0, 1)
        logits = []
        for head in self.heads.values():
            tokens = self.backbone.encode(rgb).unflatten(0, (self.cameras, self.frames))
            logits.append(head.step.classifier(tokens.mean(dim=(1, 2))))
        return torch.stack(logits, dim=1)

    def flops(self) -> int:
        """See `Method.flops`."""
        window = self.frames * backbone_flops(self.backbone)
        return self.cameras * len(self.heads) * window

    def bytes_moved(self) -> int:
        """See `Method.bytes_moved`."""
        return len(self.heads) * self._backbone_bytes()


METHODS: Mapping[str, type[Method]] = {
    method.name: method for method in (Recompute, Cached, Streaming, MultiPass)
}


@contextmanager
def _narrow_on_gpu(device: torch.device) -> Iterator[None]:
    """On a GPU the plain modules multiply in bfloat16, as one would have them."""
    with torch.autocast(device.type, torch.bfloat16, enabled=device.type == "cuda"):
        yield
