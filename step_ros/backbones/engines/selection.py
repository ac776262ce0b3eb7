"""Which engine runs a backbone, and why the ones before it do not."""

from __future__ import annotations

import copy
import logging
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field

import torch
from torch import Tensor

from step_ros.backbones.encoder import Encoder
from step_ros.backbones.engines.certification import Agreement, certification_frames, certify
from step_ros.backbones.engines.eager import EagerEngine
from step_ros.backbones.engines.engine import Engine, EngineError, first_line, precision_name
from step_ros.backbones.engines.inductor import InductorEngine
from step_ros.backbones.engines.onnxruntime import OnnxRuntimeEngine
from step_ros.backbones.engines.openvino import OpenVinoEngine
from step_ros.backbones.engines.tensorrt import TensorRtEngine
from step_ros.extras import MissingPackageError

_log = logging.getLogger(__name__)

ENGINES: Mapping[str, type[Engine]] = {
    engine.name: engine
    for engine in (TensorRtEngine, InductorEngine, OpenVinoEngine, OnnxRuntimeEngine, EagerEngine)
}
"""Every engine, by name."""

ENGINE_NAMES = ("auto", *ENGINES)
"""What users may ask for."""

_AUTO = {"cuda": ("tensorrt", "inductor", "eager"), "cpu": ("openvino", "onnxruntime", "eager")}
"""What is tried on a kind of device, the fastest first. On CPUs inductor is not: it takes long to compile."""


@dataclass(frozen=True)
class EngineSelection:
    """The engine that was chosen."""

    engine: Engine
    """Ready to run."""
    refused: Mapping[str, str] = field(default_factory=dict)
    """Why others are not used, by name; by name and type (``openvino bfloat16``) if only that type failed."""
    agreement: Agreement | None = None
    """How close its tokens are to those of eager float32; None for eager itself."""

    @property
    def name(self) -> str:
        """What `select_engine` calls the engine, such as ``openvino``."""
        return self.engine.name

    @property
    def precision(self) -> str:
        """The type that the engine computes in."""
        return precision_name(self.engine.precision)

    def __str__(self) -> str:
        return f"{self.name} in {self.precision}"


def select_engine(encoder: Encoder, name: str = "auto") -> EngineSelection:
    """Build the fastest engine there is for an encoder, where it is, and make sure that its tokens are right.

    An engine that cannot be built, or whose tokens are not those of eager float32, is refused with a warning
    that names the cause, and the next one is tried; so are an engine's types, the fastest first.

    Args:
        encoder: to be run, of a backbone; assign the result to that backbone's `engine`.
        name: one of `ENGINE_NAMES`.

    Raises:
        EngineError: the engine asked for by name cannot be had.
        ValueError: there is no engine of that name.
    """
    if name not in ENGINE_NAMES:
        raise ValueError(f"there is no engine {name!r}; engines are {', '.join(ENGINE_NAMES)}")
    names = _AUTO.get(encoder.device.type, ("eager",)) if name == "auto" else (name,)
    trial = _Trial(encoder)
    refused: dict[str, str] = {}
    for candidate in names:
        selection = _try_engine(candidate, encoder, trial, refused)
        if selection is not None:
            _announce(selection)
            return selection
    causes = "; ".join(f"{engine}: {cause}" for engine, cause in refused.items())
    raise EngineError(
        f"the engine asked for, {name}, cannot be had: {causes}. `auto` takes the best there is"
    )


def _try_engine(
    name: str, encoder: Encoder, trial: _Trial, refused: dict[str, str]
) -> EngineSelection | None:
    """The engine in the fastest type in which it is right, or None, with the causes added to `refused`."""
    engine_class = ENGINES[name]
    if engine_class is EagerEngine:
        return EngineSelection(EagerEngine(encoder), refused)
    causes: dict[torch.dtype, str] = {}
    try:
        for precision in engine_class.precisions(encoder.device):
            try:
                engine = engine_class(encoder, precision)
                agreement = certify(engine, trial.frames, trial.reference)
            except Exception as error:  # runtimes raise what they like
                causes[precision] = _cause(error)
                _free_memory(encoder.device)
                continue
            refused.update({f"{name} {precision_name(each)}": cause for each, cause in causes.items()})
            return EngineSelection(engine, refused, agreement)
    except Exception as error:
        refused[name] = _cause(error)
        return None
    if len(set(causes.values())) == 1:
        refused[name] = next(iter(causes.values()))
    else:
        refused[name] = ", ".join(f"in {precision_name(each)} {cause}" for each, cause in causes.items())
    return None


class _Trial:
    """Frames to try engines on and what eager float32 makes of them, computed when first asked for."""

    def __init__(self, encoder: Encoder) -> None:
        self._encoder = encoder
        self.frames = torch.from_numpy(certification_frames(encoder.identity.image_size))
        self._reference: Tensor | None = None

    @property
    def reference(self) -> Tensor:
        """Tokens (B, P, D)."""
        if self._reference is None:
            tower = self._encoder.tower
            if self._encoder.dtype != torch.float32:
                tower = copy.deepcopy(tower)
                tower.network.to(torch.float32)
            with torch.inference_mode(), _float32_proper():
                pixels = self._encoder.preprocess(self.frames.to(self._encoder.device))
                self._reference = tower.tokens(pixels)
        return self._reference


@contextmanager
def _float32_proper() -> Iterator[None]:
    """Without the shortened float32 of a GPU's tensor cores, which would blur what engines are held to."""
    precision = torch.get_float32_matmul_precision()
    torch.set_float32_matmul_precision("highest")
    try:
        with torch.backends.cudnn.flags(allow_tf32=False):
            yield
    finally:
        torch.set_float32_matmul_precision(precision)


def _cause(error: Exception) -> str:
    if isinstance(error, (EngineError, MissingPackageError)):
        return str(error)
    # PyTorch has a type of its own for a GPU's memory only.
    if isinstance(error, (torch.cuda.OutOfMemoryError, MemoryError)) or "allocate memory" in str(error):
        return "there is not enough memory to build it; free some or take a smaller backbone"
    return f"it cannot be built ({type(error).__name__}: {first_line(error)})"


def _free_memory(device: torch.device) -> None:
    if device.type == "cuda":
        torch.cuda.empty_cache()


def _announce(selection: EngineSelection) -> None:
    for name, cause in selection.refused.items():
        _log.warning("engine %s is not used: %s; %s is used instead", name, cause, selection)
    _log.info("engine: %s%s", selection, f" ({selection.agreement})" if selection.agreement else "")
