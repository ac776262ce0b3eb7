"""Products of batches, by either library, are those of float64 to within float32's rounding."""

from __future__ import annotations

import pytest
import torch

from step_ros.probes.streaming import batched_product
from step_ros.probes.streaming.batched_product import multiply


@pytest.mark.parametrize("product", [batched_product._bmm, batched_product._onednn])
@pytest.mark.parametrize(
    ("groups", "rows", "columns", "inner"), [(3, 256, 256, 64), (1, 1, 1, 1), (2, 5, 7, 3)]
)
def test_both_libraries_multiply_in_float32(
    product: batched_product.Product, groups: int, rows: int, columns: int, inner: int
) -> None:
    torch.manual_seed(0)
    left, right = torch.randn(groups, rows, inner), torch.randn(groups, columns, inner)
    out = torch.empty(groups, rows, columns)
    product(left, right, out)
    torch.testing.assert_close(
        out.double(), left.double() @ right.double().transpose(1, 2), rtol=1e-5, atol=1e-5
    )


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64, torch.bfloat16])
def test_every_type_is_written_to_where_it_shall_go(dtype: torch.dtype) -> None:
    torch.manual_seed(0)
    left, right = torch.randn(2, 5, 4, dtype=dtype), torch.randn(2, 6, 4, dtype=dtype)
    whole = torch.zeros(2, 8, 6, dtype=dtype)
    multiply(left, right, whole[:, :5])
    torch.testing.assert_close(whole[:, :5], left @ right.transpose(1, 2))
    assert not whole[:, 5:].any()


def test_a_pytorch_without_onednn_uses_the_other(monkeypatch: pytest.MonkeyPatch) -> None:
    def missing(*_: object) -> None:
        raise NotImplementedError("there is no such operator")

    monkeypatch.setattr(batched_product, "_onednn", missing)
    assert batched_product._float32_product.__wrapped__() is batched_product._bmm
