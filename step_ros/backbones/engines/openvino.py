"""OpenVINO: the fastest engine on CPUs."""

from __future__ import annotations

import io
import logging
import os
import threading
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor
from torch.export import ExportedProgram

from step_ros.backbones.encoder import Encoder
from step_ros.backbones.engines.engine import Engine, EngineError, first_line, precision_name
from step_ros.backbones.engines.engine_cache import EngineCache
from step_ros.backbones.engines.fixed_size import FixedSizeTower, export_program
from step_ros.backbones.identity import weights_sha256
from step_ros.extras import optional_package

_log = logging.getLogger(__name__)


class OpenVinoEngine(Engine):
    """Runs a backbone on the CPU with OpenVINO, on as many threads as PyTorch uses when it is built.

    What it compiles is kept on disk: the next start takes it from there.

    Args:
        encoder: on the CPU.
        precision: one of `precisions`.
        cache: where compiled models are kept; None takes the default folder.
    """

    name = "openvino"

    def __init__(self, encoder: Encoder, precision: torch.dtype, cache: EngineCache | None = None) -> None:
        super().__init__(encoder, precision)
        self._request = self._load_or_compile(encoder, cache or EngineCache()).create_infer_request()
        self._lock = threading.Lock()

    def _load_or_compile(self, encoder: Encoder, cache: EngineCache) -> Any:
        core, options = _openvino().Core(), _options(self.precision)
        # The weights go in as float32: OpenVINO narrows them itself, and keeps what must stay wide.
        module = FixedSizeTower(encoder, torch.float32)
        built_from = self._built_from(encoder, module, core)
        kept = cache.load(built_from)
        if kept is not None:
            try:
                return core.import_model(io.BytesIO(kept), "CPU", options)
            except RuntimeError as error:
                _log.warning("OpenVINO does not take the model it once compiled: %s", first_line(error))
                cache.remove(built_from)
        compiled = compile_program(export_program(module), self.precision)
        cache.store(built_from, compiled.export_model().getvalue())
        return compiled

    def _built_from(self, encoder: Encoder, module: FixedSizeTower, core: Any) -> dict[str, str]:
        """All that a compiled model depends on."""
        return {
            "weights": weights_sha256(module),
            "model": f"{type(encoder.tower).__name__} of a {encoder.tower.model_type}",
            "image_size": str(encoder.identity.image_size),
            "precision": precision_name(self.precision),
            "threads": str(torch.get_num_threads()),
            "processor": core.get_property("CPU", "FULL_DEVICE_NAME"),
            "instructions": str(core.get_property("CPU", "OPTIMIZATION_CAPABILITIES")),
            "instructions_at_most": os.environ.get("ONEDNN_MAX_CPU_ISA", ""),
            "openvino": str(_openvino().__version__),
        }

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
    """A program as OpenVINO runs it on the CPU, on as many threads as PyTorch uses now.

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
    return core.compile_model(model, "CPU", _options(precision))


def _options(precision: torch.dtype) -> dict[str, Any]:
    return {
        "PERFORMANCE_HINT": "LATENCY",
        "INFERENCE_PRECISION_HINT": "bf16" if precision is torch.bfloat16 else "f32",
        "INFERENCE_NUM_THREADS": torch.get_num_threads(),
    }


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
