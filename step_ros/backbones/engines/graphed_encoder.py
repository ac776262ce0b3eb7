"""From a frame in host memory to tokens on a GPU, as one CUDA graph that is launched without waiting."""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Callable

import torch
from torch import Tensor

from step_ros.backbones.preprocess import Preprocess
from step_ros.cuda_graph import capture

PixelsToTokens = Callable[[Tensor], Tensor]
"""Preprocessed images (B, 3, h, w) to tokens (B, P, D), both float32 on a GPU."""

MAX_GRAPHS = 8
"""Graphs that are kept, one for each shape of a batch of frames; each holds its network's activations."""


class GraphedEncoder:
    """Preprocesses and encodes frames on a GPU, in a CUDA graph for each shape that comes.

    The graph is captured here rather than by torch.compile, whose graphs belong to the thread that made them:
    a node loads its engine in one thread and runs it in another. Nothing in `encode` waits for the GPU.

    Args:
        preprocess: frames to pixels; it runs on the GPU, inside the graph.
        prepare: makes what turns pixels into tokens for a batch size. What it makes is launched in no other
            graph, so it may own state that a graph holds on to, such as a TensorRT execution context.
        device: the GPU.
    """

    def __init__(
        self, preprocess: Preprocess, prepare: Callable[[int], PixelsToTokens], device: torch.device
    ) -> None:
        self._preprocess = preprocess
        self._prepare = prepare
        self._device = device
        self._graphs: OrderedDict[tuple[int, ...], _Graph] = OrderedDict()
        self._lock = threading.Lock()

    def encode(self, frames: Tensor) -> Tensor:
        """Tokens (B, P, D), float32, of frames (B, H, W, 3), uint8, on any device."""
        with self._lock, torch.cuda.device(self._device), torch.no_grad():
            graph = self._graph_for(frames)
            graph.upload(frames)
            graph.replay()
            return graph.tokens.clone()  # the next replay writes over the graph's own

    def _graph_for(self, frames: Tensor) -> _Graph:
        shape = tuple(frames.shape)
        if shape not in self._graphs:
            if len(self._graphs) == MAX_GRAPHS:
                # Its memory must not be given away while the GPU is still at work in it.
                torch.cuda.synchronize(self._device)
                self._graphs.popitem(last=False)
            network = self._prepare(shape[0])
            self._graphs[shape] = _Graph(lambda rgb: network(self._preprocess(rgb)), shape, self._device)
        self._graphs.move_to_end(shape)
        return self._graphs[shape]


class _Graph:
    """One captured graph, with the memory that it reads frames from and writes tokens to."""

    tokens: Tensor

    def __init__(self, run: Callable[[Tensor], Tensor], shape: tuple[int, ...], device: torch.device) -> None:
        self._run = run  # the graph holds addresses of what it owns
        self._frames = torch.zeros(shape, dtype=torch.uint8, device=device)
        # Two, so that a frame is written to one while the other is still on its way to the GPU.
        self._staging = [torch.empty(shape, dtype=torch.uint8, pin_memory=True) for _ in range(2)]
        self._uploaded = [torch.cuda.Event() for _ in range(2)]
        self._turn = 0
        self._graph, self.tokens = capture(lambda: run(self._frames), device)

    def upload(self, frames: Tensor) -> None:
        """Bring frames to where the graph reads them, after what it reads now, without waiting for it."""
        if frames.device.type != "cpu" or frames.is_pinned():
            self._frames.copy_(frames, non_blocking=True)
            return
        self._turn = 1 - self._turn
        staging, uploaded = self._staging[self._turn], self._uploaded[self._turn]
        uploaded.synchronize()  # of the frame before the last: through long ago, unless the GPU lags
        staging.copy_(frames)
        self._frames.copy_(staging, non_blocking=True)
        uploaded.record()

    def replay(self) -> None:
        """Launch the graph; `tokens` are those of the uploaded frames once the stream gets there."""
        self._graph.replay()
