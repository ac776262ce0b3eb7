"""torch.compile: on a GPU inside CUDA graphs in half precision, on a CPU where there is a C++ compiler."""

from __future__ import annotations

import torch
from torch import Tensor

from step_ros.backbones.encoder import Encoder
from step_ros.backbones.engines.engine import Engine, EngineError
from step_ros.backbones.engines.fixed_size import FixedSizeTower
from step_ros.backbones.engines.graphed_encoder import GraphedEncoder
from step_ros.backbones.engines.joined_projections import join_projections
from step_ros.user_cache import compile_privately


class InductorEngine(Engine):
    """Runs a backbone as kernels that torch.compile writes.

    It compiles for a batch size when the first such batch comes, and from the second size on for all.
    """

    name = "inductor"

    def __init__(self, encoder: Encoder, precision: torch.dtype) -> None:
        super().__init__(encoder, precision)
        module = FixedSizeTower(encoder, precision)
        join_projections(module.network)
        self._compiled = compile_privately(module, fullgraph=True)
        self._graphed = (
            GraphedEncoder(self._preprocess, lambda batch: self._compiled, self._device)
            if self._device.type == "cuda"
            else None
        )

    @classmethod
    def precisions(cls, device: torch.device) -> tuple[torch.dtype, ...]:
        """On a GPU bfloat16 where it computes in it, float16 and float32; on a CPU float32."""
        if device.type == "cpu":
            return (torch.float32,)
        if device.type != "cuda":
            raise EngineError(f"it runs on NVIDIA GPUs and CPUs, and the backbone is on {device}")
        return half_precisions(device) + (torch.float32,)

    def encode_batch(self, frames: Tensor) -> Tensor:
        """See `Engine.encode`."""
        if self._graphed is not None:
            return self._graphed.encode(frames)
        with torch.no_grad():
            tokens: Tensor = self._compiled(self._preprocess(frames.to("cpu")))
        return tokens.contiguous()


def half_precisions(device: torch.device) -> tuple[torch.dtype, ...]:
    """The 16-bit types that a GPU multiplies matrices in; bfloat16, which does not overflow, first."""
    major, _ = torch.cuda.get_device_capability(device)
    return (torch.bfloat16, torch.float16) if major >= 8 else (torch.float16,)
