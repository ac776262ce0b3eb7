"""Every engine that can run here gives the tokens of PyTorch in float32, for any batch."""

from __future__ import annotations

import shutil

import numpy as np
import pytest
import torch

from step_ros.backbones import Backbone, select_engine
from step_ros.backbones.engines import MAX_BATCH
from step_ros.backbones.engines.certification import agreement

PACKAGES = {
    "openvino": ("openvino",),
    "onnxruntime": ("onnxruntime", "onnx", "onnxscript"),
    "inductor": (),
    "eager": (),
}


def frames(batch: int) -> np.ndarray:
    return np.random.default_rng(batch).integers(0, 256, (batch, 48, 80, 3), dtype=np.uint8)


@pytest.mark.timeout(600)
@pytest.mark.parametrize("name", PACKAGES)
def test_an_engine_gives_the_same_tokens_for_every_batch(name: str, backbone: Backbone) -> None:
    for package in PACKAGES[name]:
        pytest.importorskip(package)
    if name == "inductor" and not shutil.which("g++") and not shutil.which("clang++"):
        pytest.skip("there is no C++ compiler")
    expected = {batch: backbone.encode(frames(batch)) for batch in (0, 1, 3, MAX_BATCH + 1)}
    backbone.engine = select_engine(backbone.encoder, name)
    assert backbone.engine.name == name
    for batch, reference in expected.items():
        tokens = backbone.encode(frames(batch))
        assert tokens.shape == (batch, backbone.num_patches, backbone.dim)
        assert tokens.dtype == torch.float32 and tokens.is_contiguous()
        if batch:
            assert agreement(tokens, reference).certified
        if batch and backbone.engine.precision == "float32":
            torch.testing.assert_close(tokens, reference, rtol=1e-3, atol=1e-3)
    first = backbone.encode(frames(1))
    kept = first.clone()
    backbone.encode(frames(2)[1:])
    assert torch.equal(first, kept), "the next frame must not write over the tokens of the last"


def test_moving_the_backbone_drops_an_engine_that_was_built_for_where_it_was(vit: Backbone) -> None:
    pytest.importorskip("openvino")
    vit.engine = select_engine(vit.encoder, "openvino")
    assert vit.to(torch.float64).engine.name == "eager"


@pytest.mark.needs_cuda
@pytest.mark.timeout(900)
@pytest.mark.parametrize("name", ["tensorrt", "inductor"])
def test_a_gpu_engine_gives_the_same_tokens_from_any_memory(
    name: str, backbone: Backbone, tmp_path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("STEP_ROS_CACHE", str(tmp_path))
    expected = {batch: backbone.encode(frames(batch)) for batch in (1, 3, MAX_BATCH + 1)}
    backbone = backbone.to("cuda")  # first: without a GPU where one is promised, nothing is to be skipped
    if name == "tensorrt":
        pytest.importorskip("torch_tensorrt")
    backbone.engine = select_engine(backbone.encoder, name)
    for batch, reference in expected.items():
        pageable = torch.from_numpy(frames(batch))
        for given in (pageable, pageable.pin_memory(), pageable.cuda()):
            assert agreement(backbone.encode(given), reference).certified
    several = [frames(1) for _ in range(5)] + [frames(2)[1:]]
    tokens = [backbone.encode(frame) for frame in several]  # launched one after the other, read at the end
    for frame, found in zip(several, tokens, strict=True):
        assert torch.equal(found, backbone.encode(frame))
