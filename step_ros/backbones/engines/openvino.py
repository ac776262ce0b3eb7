"""OpenVINO: the fastest engine on CPUs."""

from __future__ import annotations

import threading
import warnings
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor

from step_ros.backbones.engines.engine import Engine, EngineError, optional_package
from step_ros.backbones.engines.fixed_size import FixedSizeTower, export_program

if TYPE_CHECKING:
    from step_ros.backbones.backbone import Backbone


class OpenVinoEngine(Engine):
    """Runs a backbone on the CPU with OpenVINO, on as many threads as PyTorch uses when it is built."""

    name = "openvino"

    def __init__(self, backbone: Backbone, precision: torch.dtype) -> None:
        super().__init__(backbone, precision)
        openvino = _openvino()
        # The weights go in as float32: OpenVINO narrows them itself, and keeps what must stay wide.
        module = FixedSizeTower(backbone.tower, backbone.image_size, torch.float32, backbone.device)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of torch, at OpenVINO's use of it
            model = openvino.convert_model(export_program(module, backbone.image_size))
        compiled = openvino.Core().compile_model(
            model,
            "CPU",
            {
                "PERFORMANCE_HINT": "LATENCY",
                "INFERENCE_PRECISION_HINT": "bf16" if precision is torch.bfloat16 else "f32",
                "INFERENCE_NUM_THREADS": torch.get_num_threads(),
            },
        )
        self._preprocess = backbone.preprocess
        self._request = compiled.create_infer_request()
        self._lock = threading.Lock()

    @classmethod
    def precisions(cls, device: torch.device) -> tuple[torch.dtype, ...]:
        """Bfloat16 where the processor computes in it, then float32."""
        if device.type != "cpu":
            raise EngineError(f"it runs on the CPU and the backbone is on {device}; set device to cpu")
        capabilities = _openvino().Core().get_property("CPU", "OPTIMIZATION_CAPABILITIES")
        return (torch.bfloat16, torch.float32) if "BF16" in capabilities else (torch.float32,)

    def encode_batch(self, frames: Tensor) -> Tensor:
        """See `Engine.encode`."""
        with torch.inference_mode():
            pixels = self._preprocess(frames.to("cpu")).contiguous()
        with self._lock:  # a request holds one input and one output
            self._request.infer([pixels.numpy()], share_inputs=True)
            tokens = self._request.get_output_tensor(0).data.copy()
        return torch.from_numpy(tokens)


def _openvino() -> Any:
    return optional_package("openvino", install="'step_ros[openvino]'")
