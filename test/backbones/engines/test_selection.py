"""Which engine is taken, which are refused and for what, and what is said about it."""

from __future__ import annotations

import copy
import importlib
import logging
from collections.abc import Callable
from dataclasses import replace

import pytest
import torch

from step_ros.backbones import Backbone, Encoder, EngineError, select_engine
from step_ros.backbones.engines import selection
from step_ros.backbones.engines.eager import EagerEngine
from step_ros.backbones.engines.engine import Engine
from step_ros.backbones.engines.inductor import InductorEngine
from step_ros.backbones.engines.onnxruntime import OnnxRuntimeEngine
from step_ros.backbones.engines.openvino import OpenVinoEngine


def without(monkeypatch: pytest.MonkeyPatch, *missing: str) -> None:
    """As on a machine on which some packages are not installed."""
    real = importlib.import_module

    def import_module(name: str, package: str | None = None) -> object:
        if name.split(".")[0] in missing:
            raise ModuleNotFoundError(f"No module named {name!r}", name=name)
        return real(name, package)

    monkeypatch.setattr(importlib, "import_module", import_module)


def perturbed(engine_class: type[Engine], scale: float) -> type[Engine]:
    """A real engine, of a network whose weights are not quite those of the encoder."""

    class Perturbed(engine_class):  # type: ignore[misc, valid-type]
        def __init__(self, given: Encoder, precision: torch.dtype) -> None:
            other = replace(given, tower=copy.deepcopy(given.tower))
            generator = torch.Generator().manual_seed(0)
            with torch.no_grad():
                for weight in other.tower.network.parameters():
                    noise = torch.randn(weight.shape, generator=generator)
                    weight += scale * weight.std(correction=0) * noise
            super().__init__(other, precision)

    return Perturbed


def use(monkeypatch: pytest.MonkeyPatch, engine_class: type[Engine]) -> None:
    monkeypatch.setattr(selection, "ENGINES", {**selection.ENGINES, engine_class.name: engine_class})


def test_a_backbone_runs_in_pytorch_until_another_engine_is_chosen(vit: Backbone) -> None:
    assert (vit.engine.name, vit.engine.precision, dict(vit.engine.refused)) == ("eager", "float32", {})


@pytest.mark.timeout(600)
def test_auto_takes_the_fastest_that_is_there(vit: Backbone) -> None:
    pytest.importorskip("openvino")
    chosen = select_engine(vit.encoder)
    assert chosen.name == "openvino" and chosen.agreement is not None and chosen.agreement.certified
    assert chosen.precision in ("bfloat16", "float32")


def test_packages_that_are_missing_are_named_with_what_to_install_and_what_runs_instead(
    vit: Backbone, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    without(monkeypatch, "openvino", "onnxruntime")
    chosen = select_engine(vit.encoder)
    assert chosen.name == "eager"
    assert chosen.refused == {
        "openvino": "openvino is not installed; pip install 'step_ros[openvino]'",
        "onnxruntime": "onnxruntime is not installed; pip install 'step_ros[onnx]'",
    }
    warnings = [record.getMessage() for record in caplog.records if record.levelno == logging.WARNING]
    assert len(warnings) == 2 and all("eager in float32 is used instead" in line for line in warnings)


@pytest.mark.parametrize(
    ("name", "cause"),
    [
        ("openvino", "openvino is not installed; pip install"),
        ("tensorrt", "it runs on NVIDIA GPUs and the backbone is on cpu; set device to cuda"),
    ],
)
def test_an_engine_asked_for_by_name_and_not_to_be_had_is_an_error(
    name: str, cause: str, vit: Backbone, monkeypatch: pytest.MonkeyPatch
) -> None:
    without(monkeypatch, "openvino")
    with pytest.raises(EngineError, match=cause):
        select_engine(vit.encoder, name)


def test_an_unknown_name_is_an_error_that_lists_the_known_ones(vit: Backbone) -> None:
    with pytest.raises(ValueError, match="no engine 'tensorflow'; engines are auto, tensorrt, inductor, "):
        select_engine(vit.encoder, "tensorflow")


@pytest.mark.timeout(600)
@pytest.mark.parametrize("engine_class", [OpenVinoEngine, OnnxRuntimeEngine])
def test_an_engine_with_wrong_weights_is_refused(
    engine_class: type[Engine],
    vit: Backbone,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    pytest.importorskip("openvino" if engine_class is OpenVinoEngine else "onnxscript")
    others = {"openvino", "onnxruntime"} - {engine_class.name}
    without(monkeypatch, *others)
    use(monkeypatch, perturbed(engine_class, 0.3))
    chosen = select_engine(vit.encoder)
    assert chosen.name == "eager"
    assert "its tokens are not those of PyTorch in float32: " in chosen.refused[engine_class.name]
    assert any("cosine" in record.getMessage() for record in caplog.records)
    with pytest.raises(EngineError, match="its tokens are not those of PyTorch"):
        select_engine(vit.encoder, engine_class.name)


@pytest.mark.timeout(600)
def test_a_type_that_is_wrong_gives_way_to_the_next(vit: Backbone, monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("openvino")
    wrong = perturbed(OpenVinoEngine, 0.3)

    class WrongInBfloat16(OpenVinoEngine):
        precisions = classmethod(lambda cls, device: (torch.bfloat16, torch.float32))  # type: ignore[assignment]

        def __new__(cls, encoder: Encoder, precision: torch.dtype) -> object:  # type: ignore[misc]
            return wrong(encoder, torch.float32) if precision is torch.bfloat16 else object.__new__(cls)

    use(monkeypatch, WrongInBfloat16)
    chosen = select_engine(vit.encoder, "openvino")
    assert str(chosen) == "openvino in float32"
    assert list(chosen.refused) == ["openvino bfloat16"]


def test_without_a_compiler_inductor_says_so(
    vit: Backbone, monkeypatch: pytest.MonkeyPatch, tmp_path
) -> None:
    """A PATH without compilers, and none of what earlier runs have compiled."""
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.setenv("CXX", "no-such-compiler")
    monkeypatch.setenv("TORCHINDUCTOR_CACHE_DIR", str(tmp_path / "inductor"))
    monkeypatch.setattr("torch._inductor.config.cpp.cxx", ("no-such-compiler",))
    torch.compiler.reset()
    with pytest.raises(EngineError, match="inductor, cannot be had: inductor: it cannot be built"):
        select_engine(vit.encoder, "inductor")


def test_too_little_memory_is_named(vit: Backbone, monkeypatch: pytest.MonkeyPatch) -> None:
    class TooLarge(InductorEngine):
        def __init__(self, encoder: Encoder, precision: torch.dtype) -> None:
            torch.empty(2**62, dtype=torch.uint8)  # what PyTorch raises is for the test to see
            super().__init__(encoder, precision)

    use(monkeypatch, TooLarge)
    with pytest.raises(EngineError, match="not enough memory"):
        select_engine(vit.encoder, "inductor")


def too_much_memory() -> None:
    torch.empty(2**62, dtype=torch.uint8)


def no_host_memory() -> None:
    raise MemoryError


def no_gpu_memory() -> None:
    raise torch.cuda.OutOfMemoryError("CUDA out of memory. Tried to allocate 2.00 GiB. GPU 0 has ...\nmore")


def unsupported_gpu() -> None:
    raise RuntimeError(
        "CUDA error: no kernel image is available for execution on the device\nCUDA kernel ..."
    )


def builder_failed() -> None:
    raise RuntimeError("Engine serialization failed")


def library_is_broken() -> None:
    raise OSError("libnvinfer.so.10: cannot open shared object file: No such file or directory")


MEMORY = "there is not enough memory to build it; free some or take a smaller backbone"


def first_choice(monkeypatch: pytest.MonkeyPatch, fail: Callable[[], None]) -> None:
    """Before eager, `auto` tries an engine that fails while it is built."""

    class Failing(EagerEngine):
        name = "tensorrt"

        def __init__(self, encoder: Encoder, precision: torch.dtype) -> None:
            fail()
            super().__init__(encoder)

    monkeypatch.setattr(selection, "ENGINES", {**selection.ENGINES, "tensorrt": Failing})
    monkeypatch.setattr(selection, "_AUTO", {"cpu": ("tensorrt", "eager")})


@pytest.mark.parametrize(
    ("fail", "cause"),
    [
        (too_much_memory, MEMORY),
        (no_host_memory, MEMORY),
        (no_gpu_memory, MEMORY),
        (
            unsupported_gpu,
            "RuntimeError: CUDA error: no kernel image is available for execution on the device",
        ),
        (builder_failed, "RuntimeError: Engine serialization failed"),
        (library_is_broken, "OSError: libnvinfer.so.10: cannot open shared object file"),
    ],
)
def test_a_cause_is_named_once_and_the_next_engine_runs(
    fail: Callable[[], None],
    cause: str,
    vit: Backbone,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    first_choice(monkeypatch, fail)
    chosen = select_engine(vit.encoder)
    assert chosen.name == "eager" and cause in chosen.refused["tensorrt"]
    (warning,) = [record.getMessage() for record in caplog.records if record.levelno >= logging.WARNING]
    assert warning.startswith("engine tensorrt is not used: ") and cause in warning
    assert warning.endswith("eager in float32 is used instead") and "\n" not in warning


@pytest.mark.parametrize("fail", [no_gpu_memory, unsupported_gpu])
def test_asked_for_by_name_the_same_is_an_error(
    fail: Callable[[], None], vit: Backbone, monkeypatch: pytest.MonkeyPatch
) -> None:
    first_choice(monkeypatch, fail)
    with pytest.raises(EngineError, match="the engine asked for, tensorrt, cannot be had: tensorrt: "):
        select_engine(vit.encoder, "tensorrt")


def test_a_narrow_backbone_is_held_to_its_weights_in_float32(vit: Backbone) -> None:
    pytest.importorskip("openvino")
    exact = vit.encode(torch.zeros(1, 64, 64, 3, dtype=torch.uint8))
    narrow = vit.to(torch.bfloat16)
    narrow.engine = select_engine(narrow.encoder, "openvino")
    tokens = narrow.encode(torch.zeros(1, 64, 64, 3, dtype=torch.uint8))
    assert tokens.dtype == torch.float32 and (tokens - exact).abs().max() < 0.2
