"""The engine that is always there, and that every other one is held to: PyTorch, operation by operation."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch
from torch import Tensor

from step_ros.backbones.engines.engine import Engine

if TYPE_CHECKING:
    from step_ros.backbones.backbone import Backbone


class EagerEngine(Engine):
    """Runs the backbone's own network, in whatever type and wherever that is."""

    name = "eager"

    def __init__(self, backbone: Backbone, precision: torch.dtype = torch.float32) -> None:
        super().__init__(backbone, precision)
        self._tower = backbone.tower
        self._preprocess = backbone.preprocess

    @classmethod
    def precisions(cls, device: torch.device) -> tuple[torch.dtype, ...]:
        """Of the weights that the network has; by default float32."""
        return (torch.float32,)

    def encode(self, frames: Tensor) -> Tensor:
        """See `Engine.encode`; batches of any size go in one pass."""
        return self.encode_batch(frames) if len(frames) else super().encode(frames)

    def encode_batch(self, frames: Tensor) -> Tensor:
        """See `Engine.encode`."""
        weight = next(self._tower.network.parameters())
        with torch.inference_mode():
            pixels = self._preprocess(frames.to(weight.device))
            tokens = self._tower.tokens(pixels.to(weight.dtype))
        # A copy made outside inference mode may be trained on; and it lets go of the CLS and register tokens.
        return tokens.to(torch.float32, copy=True, memory_format=torch.contiguous_format)
