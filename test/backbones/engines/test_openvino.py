"""OpenVINO keeps what it does to itself."""

from __future__ import annotations

import logging

import pytest

from step_ros.backbones import Backbone, select_engine


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
