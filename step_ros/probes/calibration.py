"""Makes confidence mean what it says: a temperature, and a threshold to reject below."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional as F


def fit_temperature(logits: Tensor, targets: Tensor) -> float:
    """The temperature that makes held-out labels likeliest (temperature scaling, Guo et al., 2017).

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


def fit_rejection_threshold(probabilities: Tensor, targets: Tensor, *, accuracy: float) -> float:
    """The lowest confidence from which on answers are right often enough.

    Args:
        probabilities: (N, K) of validation windows.
        targets: (N,) label indices.
        accuracy: how often answers at or above the threshold are to be right.

    Returns:
        A probability: 0 if all answers together are right that often. If no threshold reaches `accuracy`,
        the one that comes closest.
    """
    confidence, answers = probabilities.max(dim=-1)
    order = confidence.argsort(descending=True)
    right = (answers == targets)[order].double().cumsum(0)
    share = right / torch.arange(1, len(right) + 1)  # of the n most confident answers
    good = (share >= accuracy).nonzero()
    if len(good) and int(good[-1]) == len(share) - 1:
        return 0.0
    kept = int(good[-1]) if len(good) else int(share.argmax())
    return float(confidence[order[kept]].clamp(0, 1))
