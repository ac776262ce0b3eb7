"""Attention in parts over different keys, put together, is attention over all of them."""

from __future__ import annotations

import pytest
import torch
import torch.nn.functional as F

from step_ros.probes.streaming.partial_attention import fastest, join, plain


@pytest.mark.parametrize("largest", [1.0, 100.0])
@pytest.mark.parametrize("first", [0, 1, 30])
def test_parts_make_a_whole(first: int, largest: float) -> None:
    torch.manual_seed(0)
    query, key, value = (torch.randn(2, 3, 40, 8, dtype=torch.float64) for _ in range(3))
    query = largest * query
    one = plain(query, key[:, :, :first], value[:, :, :first], 0.5)
    other = plain(query, key[:, :, first:], value[:, :, first:], 0.5)
    expected = F.scaled_dot_product_attention(query, key, value, scale=0.5)
    torch.testing.assert_close(join(one, other), expected)
    torch.testing.assert_close(join(other, one), expected)


def test_half_precision_is_joined_in_float32() -> None:
    torch.manual_seed(0)
    given = [torch.randn(1, 1, 16, 8, dtype=torch.float16) for _ in range(3)]
    gathered, denominator = plain(*given, 1.0)
    assert gathered.dtype == torch.float16 and denominator.dtype == torch.float32
    assert join((gathered, denominator), (gathered, denominator)).dtype == torch.float32


def test_without_a_gpu_it_is_as_it_is_written() -> None:
    assert fastest(torch.zeros(1, 2, 16, 24)) is plain
