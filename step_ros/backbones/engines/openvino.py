"""OpenVINO: the fastest engine on CPUs."""

from __future__ import annotations

import logging
import threading
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor
from torch.export import ExportedProgram

from step_ros.backbones.encoder import Encoder
from step_ros.backbones.engines.engine import Engine, EngineError
from step_ros.backbones.engines.fixed_size import FixedSizeTower, export_program
from step_ros.extras import optional_package


class OpenVinoEngine(Engine):
    """Runs a backbone on the CPU with OpenVINO, on as many threads as PyTorch uses when it is built."""

    name = "openvino"

    def __init__(self, encoder: Encoder, precision: torch.dtype) -> None:
        super().__init__(encoder, precision)
        # The weights go in as float32: OpenVINO narrows them itself, and keeps what must stay wide.
        module = FixedSizeTower(encoder, torch.float32)
        self._request = compile_program(export_program(module), precision)
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


def compile_program(program: ExportedProgram, precision: torch.dtype) -> Any:
    """An OpenVINO request that runs a program on the CPU, on as many threads as PyTorch uses now.

    Raises:
        MissingPackageError: OpenVINO is not installed.
    """
    core = _openvino().Core()
    # By the frontend itself: openvino.convert_model would report its use over the network, from a fork of
    # this process.
    frontend = _openvino("openvino.frontend").FrontEndManager().load_by_framework("pytorch")
    decoders = _openvino("openvino.frontend.pytorch.fx_decoder")
    with _quiet():
        decoder = decoders.TorchFXPythonDecoder.from_exported_program(program)  # outlives the conversion
        model = frontend.convert(frontend.load(decoder))
    compiled = core.compile_model(
        model,
        "CPU",
        {
            "PERFORMANCE_HINT": "LATENCY",
            "INFERENCE_PRECISION_HINT": "bf16" if precision is torch.bfloat16 else "f32",
            "INFERENCE_NUM_THREADS": torch.get_num_threads(),
        },
    )
    return compiled.create_infer_request()


@contextmanager
def _quiet() -> Iterator[None]:
    """Without torch's warnings of how it is used, and what the decoder tells the root logger."""
    root, nothing = logging.getLogger(), logging.NullHandler()
    root.addHandler(nothing)  # without any, the first message would install one for good
    root.addFilter(_never)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        root.removeFilter(_never)
        root.removeHandler(nothing)


def _never(record: logging.LogRecord) -> bool:
    """Let no record of the logger itself pass; those that come up from others do not ask."""
    return False


def _openvino(module: str = "openvino") -> Any:
    return optional_package(module, extra="openvino")
