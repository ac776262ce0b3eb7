"""Column means of the softmax: their gradients, and that pieces do not show."""

from __future__ import annotations

import pytest
import torch

from step_ros.probes import pooled_attention
from step_ros.probes.pooled_attention import ColumnMeans


@pytest.mark.parametrize("chunk", [1 << 18, 40, 7])
def test_means_and_gradients_are_those_of_the_plain_computation(
    chunk: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(pooled_attention, "_CHUNK", chunk)
    generator = torch.Generator().manual_seed(0)
    query = torch.randn(3, 5, 4, dtype=torch.float64, generator=generator).requires_grad_()
    key = torch.randn(3, 8, 4, dtype=torch.float64, generator=generator).requires_grad_()
    plain = (query @ key.transpose(1, 2)).softmax(-1).mean(1)
    torch.testing.assert_close(ColumnMeans.apply(query, key), plain)
    assert torch.autograd.gradcheck(ColumnMeans.apply, (query, key))
