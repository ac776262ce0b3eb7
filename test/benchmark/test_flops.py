"""Operations are counted wherever they are done: on no device, by oneDNN, in streaming heads."""

from __future__ import annotations

import pytest
import torch

from step_ros.backbones import BackboneIdentity
from step_ros.benchmark.flops import count_flops, head_flops, on_no_device, streaming_flops
from step_ros.benchmark.naive_head import NaiveHead
from step_ros.frames import ClipSpec
from step_ros.probes import Head, HeadConfig, ProbeConfig
from step_ros.probes.streaming import batched_product

T, P, D, H, K = 6, 16, 32, 2, 4
IDENTITY = BackboneIdentity("owner/tiny", (56, 56), P, D, "ab" * 32)


@pytest.fixture
def head() -> Head:
    torch.manual_seed(0)
    labels = tuple(f"label_{index}" for index in range(K))
    return Head(HeadConfig("task", labels, ClipSpec(T, 1.0), ProbeConfig(D, H), IDENTITY)).eval()


def test_the_head_that_one_would_write_is_the_head(head: Head) -> None:
    tokens = torch.randn(2, T, P, D)
    with torch.inference_mode():
        torch.testing.assert_close(NaiveHead(head)(tokens), head(tokens))


def test_a_copy_on_no_device_is_counted_as_the_module_is() -> None:
    module = torch.nn.Sequential(torch.nn.Conv2d(3, 4, 2), torch.nn.Flatten(), torch.nn.Linear(36, 5))
    images = torch.randn(2, 3, 4, 4)
    assert count_flops(lambda: on_no_device(module)(images.to("meta"))) == count_flops(lambda: module(images))
    assert next(module.parameters()).device.type == "cpu"


def test_a_plain_head_costs_its_projections_and_its_attention(head: Head) -> None:
    tokens = T * P + 1
    attention = 2 * tokens * 3 * D * D + 4 * tokens * tokens * D
    assert head_flops(head, T, IDENTITY) == attention + 2 * (D * D + D * K)
    assert head_flops(NaiveHead(head), T, IDENTITY) == attention + 2 * (tokens * D * D + D * K)


@pytest.mark.parametrize("product", [batched_product._bmm, batched_product._onednn])
def test_streaming_is_counted_whichever_library_multiplies(
    head: Head, product: batched_product.Product, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(batched_product, "_float32_product", lambda: product)
    monkeypatch.setattr(batched_product, "_LARGE", 0)
    blocks = 2 * T - 1
    scores = blocks * 2 * P * P * D
    steps = T + 2 * sum(range(1, T))  # of a frame with itself, and with each older one both ways
    products = steps * H * 2 * (K + 1) * P * P
    counted = streaming_flops({"task": head})
    assert scores + products < counted < 1.5 * (scores + products)
    assert streaming_flops({"task": head, "another": head}) == 2 * counted
