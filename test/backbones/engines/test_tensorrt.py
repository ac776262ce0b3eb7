"""What takes TensorRT minutes is done once."""

from __future__ import annotations

import pytest

from step_ros.backbones import Backbone, select_engine


@pytest.mark.needs_cuda
@pytest.mark.timeout(900)
def test_a_tensorrt_engine_is_built_once(vit: Backbone, tmp_path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("STEP_ROS_CACHE", str(tmp_path))
    vit = vit.to("cuda")
    pytest.importorskip("torch_tensorrt")
    first = select_engine(vit.encoder, "tensorrt")
    (kept,) = tmp_path.glob("*.engine")
    written = kept.stat().st_mtime_ns
    second = select_engine(vit.encoder, "tensorrt")
    assert kept.stat().st_mtime_ns == written and second.precision == first.precision
    kept.write_bytes(kept.read_bytes()[:-1])
    assert select_engine(vit.encoder, "tensorrt").name == "tensorrt"
    assert kept.stat().st_mtime_ns != written
