"""The engine that is always there, and that every other one is held to: PyTorch, operation by operation."""

from __future__ import annotations

import torch
from torch import Tensor

from step_ros.backbones.encoder import Encoder
from step_ros.backbones.engines.engine import Engine


class EagerEngine(Engine):
    """Runs the encoder's own network, in whatever type and wherever that is."""

    name = "eager"

    def __init__(self, encoder: Encoder) -> None:
        super().__init__(encoder, encoder.dtype)
        self._encoder = encoder

    @classmethod
    def precisions(cls, device: torch.device) -> tuple[torch.dtype, ...]:
        """Of the weights that the network has; by default float32."""
        return (torch.float32,)

    def encode(self, frames: Tensor) -> Tensor:
        """See `Engine.encode`; batches of any size go in one pass."""
        return self.encode_batch(frames) if len(frames) else super().encode(frames)

    def encode_batch(self, frames: Tensor) -> Tensor:
        """See `Engine.encode`."""
        with torch.inference_mode():
            pixels = self._preprocess(frames.to(self._encoder.device))
            tokens = self._encoder.tower.tokens(pixels.to(self._encoder.dtype))
        # A copy made outside inference mode may be trained on; and it lets go of the CLS and register tokens.
        return tokens.to(torch.float32, copy=True, memory_format=torch.contiguous_format)
