"""ONNX Runtime: an engine for CPUs that needs little else."""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from step_ros.backbones.encoder import Encoder
from step_ros.backbones.engines.engine import Engine, EngineError
from step_ros.backbones.engines.onnx_file import INPUT, OUTPUT, write_onnx
from step_ros.extras import optional_package


class OnnxRuntimeEngine(Engine):
    """Runs a backbone on the CPU with ONNX Runtime, in float32.

    Args:
        encoder: see `Engine`.
        precision: float32.
        file: an ONNX file of the encoder that `write_onnx` wrote; None writes one for the moment.
    """

    name = "onnxruntime"

    def __init__(
        self, encoder: Encoder, precision: torch.dtype = torch.float32, file: Path | None = None
    ) -> None:
        super().__init__(encoder, precision)
        if file is not None:
            self._session = _session(file)
            return
        with tempfile.TemporaryDirectory(prefix="step_ros_onnx_") as folder:
            path = Path(folder) / "backbone.onnx"
            write_onnx(encoder, path)
            self._session = _session(path)

    @classmethod
    def precisions(cls, device: torch.device) -> tuple[torch.dtype, ...]:
        """Float32: its CPU kernels for narrower types are no faster."""
        if device.type != "cpu":
            raise EngineError(f"it runs on the CPU and the backbone is on {device}; set device to cpu")
        _onnxruntime()
        return (torch.float32,)

    def encode_batch(self, frames: Tensor) -> Tensor:
        """See `Engine.encode`."""
        with torch.inference_mode():
            pixels = self._preprocess(frames.to("cpu")).contiguous()
        (tokens,) = self._session.run([OUTPUT], {INPUT: pixels.numpy()})
        return torch.from_numpy(tokens)


def _session(path: Path) -> Any:
    onnxruntime = _onnxruntime()
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = torch.get_num_threads()
    options.log_severity_level = 3  # errors
    return onnxruntime.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])


def _onnxruntime() -> Any:
    return optional_package("onnxruntime", extra="onnx")
