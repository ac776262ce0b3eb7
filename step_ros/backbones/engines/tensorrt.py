"""TensorRT: kernels that are chosen by trying them on the GPU at hand."""

from __future__ import annotations

import inspect
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from step_ros.backbones.encoder import Encoder
from step_ros.backbones.engines.engine import MAX_BATCH, Engine, EngineError, precision_name
from step_ros.backbones.engines.engine_cache import EngineCache
from step_ros.backbones.engines.fixed_size import FixedSizeTower, export_program
from step_ros.backbones.engines.graphed_encoder import GraphedEncoder, PixelsToTokens
from step_ros.backbones.engines.inductor import half_precisions
from step_ros.backbones.engines.progress import reported
from step_ros.extras import optional_package


class TensorRtEngine(Engine):
    """Runs a backbone with TensorRT, from a plan that torch_tensorrt builds once and that is kept on disk.

    The plan holds one input (B, 3, h, w) and one output (B, P, D), both float32, for batches of 1 to
    `MAX_BATCH`. TensorRT itself runs it; with a kept plan torch_tensorrt is not needed.

    Args:
        encoder: see `Engine`.
        precision: see `Engine`.
        cache: where plans are kept; None takes the default folder.
    """

    name = "tensorrt"

    def __init__(self, encoder: Encoder, precision: torch.dtype, cache: EngineCache | None = None) -> None:
        super().__init__(encoder, precision)
        trt = _tensorrt()
        self._logger = trt.Logger(trt.Logger.WARNING)
        self._runtime = trt.Runtime(self._logger)  # must outlive the engine
        self.plan, self._engine = self._load_or_build(encoder, cache or EngineCache())
        modes = {name: self._engine.get_tensor_mode(name) for name in self._tensor_names()}
        (self._input,) = (name for name, mode in modes.items() if mode == trt.TensorIOMode.INPUT)
        (self._output,) = (name for name, mode in modes.items() if mode == trt.TensorIOMode.OUTPUT)
        self._graphed = GraphedEncoder(self._preprocess, self._prepare, self._device)

    @classmethod
    def precisions(cls, device: torch.device) -> tuple[torch.dtype, ...]:
        """Bfloat16 where the GPU computes in it, then float16, then float32."""
        if device.type != "cuda":
            raise EngineError(f"it runs on NVIDIA GPUs and the backbone is on {device}; set device to cuda")
        _tensorrt()
        return half_precisions(device) + (torch.float32,)

    def encode_batch(self, frames: Tensor) -> Tensor:
        """See `Engine.encode`."""
        return self._graphed.encode(frames)

    def _load_or_build(self, encoder: Encoder, cache: EngineCache) -> tuple[bytes, Any]:
        built_from = self._built_from(encoder)
        kept = cache.load(built_from)
        if kept is not None:
            engine = self._runtime.deserialize_cuda_engine(kept)
            if engine is not None:
                return kept, engine
            cache.remove(built_from)  # TensorRT has logged why it does not take it
        what = f"building a TensorRT engine of {encoder.identity.id} in {precision_name(self.precision)}"
        with reported(what), _timing_cache(cache) as timing_cache:
            plan = build_plan(encoder, self.precision, timing_cache)
        engine = self._runtime.deserialize_cuda_engine(plan)
        if engine is None:
            raise EngineError("TensorRT does not take the plan that it built itself; its log says why")
        cache.store(built_from, plan)
        return plan, engine

    def _built_from(self, encoder: Encoder) -> dict[str, str]:
        """All that a plan depends on."""
        device = torch.cuda.get_device_properties(encoder.device)
        return {
            "weights": encoder.identity.sha256,
            "model_type": encoder.tower.model_type,
            "image_size": str(encoder.identity.image_size),
            "tokens": str(self._token_shape),
            "max_batch": str(MAX_BATCH),
            "precision": precision_name(self.precision),
            "gpu": f"{device.name}, {device.major}.{device.minor}, {device.multi_processor_count}",
            "tensorrt": str(_tensorrt().__version__),
        }

    def _tensor_names(self) -> list[str]:
        return [self._engine.get_tensor_name(index) for index in range(self._engine.num_io_tensors)]

    def _prepare(self, batch: int) -> PixelsToTokens:
        """For a batch size, with an execution context of its own: a graph keeps using that one's memory."""
        context = self._engine.create_execution_context()
        if context is None:
            raise EngineError("TensorRT gives no execution context; the GPU's memory may be full")

        def run(pixels: Tensor) -> Tensor:
            pixels = pixels.contiguous()
            tokens = torch.empty(batch, *self._token_shape, device=self._device)
            if not context.set_input_shape(self._input, tuple(pixels.shape)):
                raise EngineError(f"TensorRT does not take pixels of {tuple(pixels.shape)}")
            context.set_tensor_address(self._input, pixels.data_ptr())
            context.set_tensor_address(self._output, tokens.data_ptr())
            if not context.execute_async_v3(torch.cuda.current_stream(self._device).cuda_stream):
                raise EngineError("TensorRT could not run the engine; its log says why")
            return tokens

        return run


def build_plan(encoder: Encoder, precision: torch.dtype, timing_cache: Path) -> bytes:
    """Build an encoder's TensorRT plan through torch_tensorrt, in exactly the given precision.

    Raises:
        MissingPackageError: torch_tensorrt is not installed.
        Whatever else fails raises what torch_tensorrt likes.
    """
    torch_tensorrt = optional_package("torch_tensorrt", extra="tensorrt")
    convert = torch_tensorrt.dynamo.convert_exported_program_to_serialized_trt_engine
    size = encoder.identity.image_size
    pixels = torch_tensorrt.Input(
        min_shape=(1, 3, *size), opt_shape=(1, 3, *size), max_shape=(MAX_BATCH, 3, *size), dtype=torch.float32
    )
    options: dict[str, Any] = {
        "arg_inputs": [pixels],
        "device": encoder.device,
        "disable_tf32": True,
        "timing_cache_path": str(timing_cache),
    }
    # Types are those of the network, tensor by tensor. Newer versions know no other way, and no such option.
    if "use_explicit_typing" in inspect.signature(convert).parameters:
        options["use_explicit_typing"] = True
    with torch.cuda.device(encoder.device):
        return bytes(convert(export_program(FixedSizeTower(encoder, precision)), **options))


@contextmanager
def _timing_cache(cache: EngineCache) -> Iterator[Path]:
    """Where TensorRT keeps how fast which kernel is: beside the plans, or for this one build only."""
    if cache.writable():
        yield cache.folder / f"timing_{_tensorrt().__version__}.cache"
        return
    with tempfile.TemporaryDirectory(prefix="step_ros_tensorrt_") as folder:
        yield Path(folder) / "timing.cache"


def _tensorrt() -> Any:
    return optional_package("tensorrt", extra="tensorrt")
