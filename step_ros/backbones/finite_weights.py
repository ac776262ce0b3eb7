"""Which of a model's weights hold what is no number?"""

from __future__ import annotations

from collections.abc import Iterable

import torch
from torch import Tensor


def not_finite(tensors: Iterable[tuple[str, Tensor]]) -> list[str]:
    """The names of tensors that hold a NaN or an infinity."""
    # A sum reads memory once and writes none; it may overflow where no summand has.
    return [
        name
        for name, tensor in tensors
        if not bool(torch.isfinite(tensor.sum())) and not bool(torch.isfinite(tensor).all())
    ]
