"""An engine that cannot be had is a warning with the cause and what runs instead, whatever went wrong."""

from __future__ import annotations

import logging
from collections.abc import Callable
from pathlib import Path

import pytest
import torch

from step_ros.backbones import Backbone, Encoder, EngineError, select_engine
from step_ros.backbones.engines import selection
from step_ros.backbones.engines.eager import EagerEngine
from step_ros.backbones.engines.engine_cache import EngineCache


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


def test_no_cache_at_all_keeps_nothing_and_harms_nothing(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """A file stands where the folder should be: nobody can write there, not even root."""
    (tmp_path / "cache").write_text("")
    cache = EngineCache(tmp_path / "cache" / "step_ros")
    built_from = {"weights": "0" * 64}
    assert not cache.writable() and cache.load(built_from) is None
    cache.store(built_from, b"plan")
    assert any("cannot be kept in" in record.getMessage() for record in caplog.records)
    assert cache.load(built_from) is None
