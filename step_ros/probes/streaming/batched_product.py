"""Products of batches of matrices, by whichever of PyTorch's libraries is the faster on this processor."""

from __future__ import annotations

import time
from collections.abc import Callable
from functools import cache

import torch
from torch import Tensor

Product = Callable[[Tensor, Tensor, Tensor], None]

# Multiply-adds of one matrix, below which one call for the whole batch is faster than the fastest calls.
_LARGE = 2**21


def multiply(left: Tensor, right: Tensor, out: Tensor) -> None:
    """Write left @ rightᵀ to `out`, for each of a batch.

    Args:
        left: (G, M, K).
        right: (G, N, K).
        out: (G, M, N), of the type of the others.
    """
    large = left[0].numel() * right.shape[1] >= _LARGE
    float32 = left.dtype == torch.float32 and left.device.type == "cpu"
    product = _float32_product() if float32 and large else _bmm
    product(left, right, out)


def _bmm(left: Tensor, right: Tensor, out: Tensor) -> None:
    torch.bmm(left, right.transpose(1, 2), out=out)


def _onednn(left: Tensor, right: Tensor, out: Tensor) -> None:
    # What torch.compile has linear layers run by; for batches there is none.
    linear = torch.ops.mkldnn._linear_pointwise
    torch.stack([linear(a, b, None, "none", [], "") for a, b in zip(left, right, strict=True)], out=out)


@cache
def _float32_product() -> Product:
    """The faster of the two, on a product as streaming has them; both give float32 precision.

    PyTorch multiplies float32 with MKL, which does without the widest vectors on processors that are not
    Intel's. oneDNN has them, but PyTorch keeps it for narrower types.
    """
    generator = torch.Generator().manual_seed(0)
    left, right = (torch.randn(3, 256, 64, generator=generator) for _ in range(2))
    try:
        errors = [_largest_error(product, left, right) for product in (_bmm, _onednn)]
    except (AttributeError, NotImplementedError, RuntimeError):  # a PyTorch that has no oneDNN
        return _bmm
    if errors[1] > 4 * errors[0]:
        return _bmm
    return min((_bmm, _onednn), key=lambda product: _least_seconds(product, left, right))


def _largest_error(product: Product, left: Tensor, right: Tensor) -> float:
    found = torch.empty(len(left), left.shape[1], right.shape[1])
    product(left, right, found)
    return float((found - left.double() @ right.double().transpose(1, 2)).abs().max())


def _least_seconds(product: Product, left: Tensor, right: Tensor) -> float:
    out = torch.empty(len(left), left.shape[1], right.shape[1])
    seconds = []
    for _ in range(10):
        start = time.perf_counter()
        product(left, right, out)
        seconds.append(time.perf_counter() - start)
    return min(seconds)
