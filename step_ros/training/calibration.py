"""Makes a head's confidence mean what it says: temperature scaling (Guo et al., 2017)."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional as F


def fit_temperature(logits: Tensor, targets: Tensor) -> float:
    """The temperature that makes held-out labels likeliest.

    Args:
        logits: (N, K) of validation windows.
        targets: (N,) label indices.

    Returns:
        A positive number, within [0.05, 20]; dividing logits by it changes no label, only confidence.
    """
    logits = logits.detach().clone()
    log_temperature = torch.zeros((), requires_grad=True)
    optimizer = torch.optim.LBFGS([log_temperature], max_iter=100, line_search_fn="strong_wolfe")

    def loss() -> Tensor:
        optimizer.zero_grad()
        value = F.cross_entropy(logits / log_temperature.exp(), targets)
        value.backward()
        return value

    with torch.enable_grad():
        optimizer.step(loss)
    return float(log_temperature.detach().exp().clamp(0.05, 20.0))
