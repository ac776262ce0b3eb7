"""OpenVINO keeps what it does to itself, and what it has compiled for the next start."""

from __future__ import annotations

import logging
from pathlib import Path

import numpy as np
import pytest
import torch

from step_ros.backbones import Backbone, select_engine
from step_ros.backbones.engines import openvino
from step_ros.backbones.engines.engine_cache import EngineCache
from step_ros.backbones.engines.openvino import OpenVinoEngine


def test_openvino_reports_its_use_to_nobody(vit: Backbone, monkeypatch: pytest.MonkeyPatch) -> None:
    """Nor leaves a handler on the root logger."""
    pytest.importorskip("openvino")
    sender = pytest.importorskip("openvino_telemetry").Telemetry
    reported: list[str] = []
    for name in ("start_session", "send_event"):
        monkeypatch.setattr(sender, name, lambda *_, name=name, **__: reported.append(name))
    handlers = list(logging.getLogger().handlers)
    select_engine(vit.encoder, "openvino")
    assert not reported and logging.getLogger().handlers == handlers


@pytest.fixture
def cache(tmp_path: Path) -> EngineCache:
    pytest.importorskip("openvino")
    return EngineCache(tmp_path / "cache")


def tokens(engine: OpenVinoEngine) -> torch.Tensor:
    frames = np.random.default_rng(0).integers(0, 256, (1, 32, 32, 3), np.uint8)
    return engine.encode(torch.from_numpy(frames))


def test_the_second_start_takes_what_the_first_compiled(
    vit: Backbone, cache: EngineCache, monkeypatch: pytest.MonkeyPatch
) -> None:
    compiled: list[int] = []
    real = openvino.compile_program
    monkeypatch.setattr(openvino, "compile_program", lambda *about: compiled.append(1) or real(*about))
    first = tokens(OpenVinoEngine(vit.encoder, torch.float32, cache))
    assert torch.equal(tokens(OpenVinoEngine(vit.encoder, torch.float32, cache)), first)
    assert len(compiled) == 1
    with torch.no_grad():
        next(vit.network.parameters()).add_(1)
    changed = tokens(OpenVinoEngine(vit.encoder, torch.float32, cache))
    assert len(compiled) == 2 and not torch.equal(changed, first), "other weights are another model"


def test_what_cannot_be_taken_is_compiled_again(
    vit: Backbone,
    cache: EngineCache,
    caplog: pytest.LogCaptureFixture,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    first = tokens(OpenVinoEngine(vit.encoder, torch.float32, cache))
    (kept,) = cache.folder.glob("*.engine")
    monkeypatch.setattr(cache, "path", lambda built_from: kept)
    cache.store({}, b"no model")
    assert torch.equal(tokens(OpenVinoEngine(vit.encoder, torch.float32, cache)), first)
    assert "does not take the model it once compiled" in caplog.text
    kept.write_bytes(b"broken")
    assert torch.equal(tokens(OpenVinoEngine(vit.encoder, torch.float32, cache)), first)
    assert "is corrupt; it is removed and built again" in caplog.text
