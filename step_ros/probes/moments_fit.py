"""Fits a moments head in closed form, in less than a second: ridge regression with recordings left out."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Hashable, Sequence
from dataclasses import dataclass, replace

import torch
from torch import Tensor
from torch.nn import functional as F

from step_ros.probes.calibration import fit_rejection_threshold, fit_temperature
from step_ros.probes.head import Head
from step_ros.probes.moments import MomentsProbe

PENALTIES = (0.01, 0.03, 0.1, 0.3, 1.0)
"""Ridge penalties that are tried, in units of the mean squared length of an example."""


def fit_moments(
    head: Head,
    moments: Tensor,
    targets: Tensor,
    recordings: Sequence[Hashable],
    *,
    accepted_accuracy: float = 0.95,
) -> Tensor:
    """Fit a moments head to examples, and its temperature and rejection threshold with it.

    Each class is regressed on its own: whether an example is of it (1) or not (0), beyond how often examples
    are, which is its bias. Penalty, temperature and rejection threshold are chosen by the answers to each
    recording from the others alone, which ridge regression has in closed form (the PRESS statistic, Allen
    1974): with H = (K + λ)^-1 over the Gram matrix K and α = H y, examples g, once they are left out, are
    missed by (H_gg)^-1 α_g.

    Args:
        head: whose probe is of kind "moments".
        moments: (N, 4, C, D) of windows; those of pairs backwards too, as `backwards` gives them.
        targets: (N,) indices of labels.
        recordings: of each example where it is from; an example and its like backwards are from one. With
            only one in all, nothing can be left out: then every example should count as its own.
        accepted_accuracy: how often answers at or above the rejection threshold are to be right.

    Returns:
        (N, K) the answers, as logits, to each recording from the others alone.

    Raises:
        ValueError: there are no examples, one is not finite, or the head is of another kind.
    """
    probe = head.probe
    if not isinstance(probe, MomentsProbe):
        raise ValueError(f"head {head.config.task!r} has a {type(probe).__name__}, not a MomentsProbe")
    if len(moments) == 0 or not bool(torch.isfinite(moments).all()):
        raise ValueError("a moments head is fitted on at least one example, all of finite numbers")
    scaling = _Scaling.of(moments.double())
    features = scaling(moments.double())
    wanted = F.one_hot(targets, len(head.config.labels)).double()
    # With a bias of its own a class without a partner, seen in one direction only, would hardly be named.
    frequency = wanted.mean(0)
    wanted = wanted - frequency
    gram = features @ features.T
    groups = _groups(recordings)
    found = [_leave_out(gram, wanted, groups, penalty) for penalty in PENALTIES]
    held_out, dual = min(found, key=lambda pair: float((pair[0] - wanted).square().sum()))
    logits = (held_out + frequency).float()
    temperature = fit_temperature(logits, targets)
    probabilities = torch.softmax(logits / temperature, dim=-1)
    threshold = fit_rejection_threshold(probabilities, targets, accuracy=accepted_accuracy)
    head.config = replace(head.config, temperature=temperature, rejection_threshold=threshold)
    weight, bias = scaling.unfold(features.T @ dual, frequency)
    with torch.no_grad():
        probe.classifier.weight.copy_(weight.T)
        probe.classifier.bias.copy_(bias)
    return logits


@dataclass(frozen=True)
class _Scaling:
    """Brings examples to features of unit length on average, each temporal function with an equal share."""

    mean: Tensor
    """(4, C, D); zero for odd functions, which examples and their mirror images have with either sign."""
    scale: Tensor
    """(4, 1, 1), what is divided by."""

    @classmethod
    def of(cls, moments: Tensor) -> _Scaling:
        mean = moments.mean(0)
        mean[:2] = 0
        power = (moments - mean).square().sum((-2, -1)).mean(0)  # 4
        return cls(mean, (4 * power).sqrt().clamp_min(1e-9)[:, None, None])

    def __call__(self, moments: Tensor) -> Tensor:
        return ((moments - self.mean) / self.scale).flatten(1)

    def unfold(self, weight: Tensor, bias: Tensor) -> tuple[Tensor, Tensor]:
        """Weights (F, K) and bias (K,) on moments as they are, from those on features."""
        unscaled = (weight.unflatten(0, self.mean.shape) / self.scale[..., None]).flatten(0, 2)
        return unscaled, bias - self.mean.flatten() @ unscaled


def _leave_out(
    gram: Tensor, wanted: Tensor, groups: Sequence[Tensor], penalty: float
) -> tuple[Tensor, Tensor]:
    """Answers (N, K) to each group from the others, and the dual weights (N, K) of all."""
    factor = torch.linalg.cholesky(gram + penalty * torch.eye(len(gram), dtype=gram.dtype))
    inverse = torch.cholesky_inverse(factor)
    dual = inverse @ wanted
    held_out = torch.empty_like(wanted)
    for group in groups:
        missed = torch.linalg.solve(inverse[group[:, None], group], dual[group])
        held_out[group] = wanted[group] - missed
    return held_out, dual


def _groups(recordings: Sequence[Hashable]) -> list[Tensor]:
    """Indices of the examples of each recording."""
    by_recording: dict[Hashable, list[int]] = defaultdict(list)
    for index, recording in enumerate(recordings):
        by_recording[recording].append(index)
    return [torch.tensor(group) for group in by_recording.values()]
