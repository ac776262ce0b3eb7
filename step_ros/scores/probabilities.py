"""What are probabilities worth? How well they rank, and whether those of 0.8 are right eight times in ten.

Conventions: probabilities are (N, K); targets are (N,) indices of the true labels. The confidence of a row
is its largest probability. Where only the largest few are known the others are NaN: rows still have their
confidence, but no label can be ranked over all of them. Scores are None where there is nothing to count.

The expected calibration error is that of Guo et al., *On Calibration of Modern Neural Networks* (ICML 2017).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, Any

import numpy as np
from numpy.typing import NDArray

from step_ros.scores.score import Score, Scores, Value

CALIBRATION_BINS = 15
"""Bins of confidence, of one width."""

Floats = NDArray[np.floating[Any]]
Ints = NDArray[np.integer[Any]]
Bools = NDArray[np.bool_]


@dataclass(frozen=True)
class ProbabilityScores(Scores):
    """None where nothing is labelled; mAP also where some probability is not known."""

    map: Annotated[Value, Score("mAP", "%", "mean average precision over the labels that are ever true")]
    calibration_error: Annotated[
        Value,
        Score("calibration error", "%", f"distance of confidence from accuracy, in {CALIBRATION_BINS} bins"),
    ]


def validate(probabilities: Floats, targets: Ints) -> None:
    """Check shapes and indices.

    Raises:
        ValueError: they are not (N, K) and (N,), or a target is none of the K.
    """
    if probabilities.ndim != 2 or targets.shape != probabilities.shape[:1]:
        raise ValueError(f"(N, K) and (N,) targets are needed, got {probabilities.shape} and {targets.shape}")
    if len(targets) and not 0 <= targets.min() <= targets.max() < probabilities.shape[1]:
        raise ValueError(
            f"targets are indices of {probabilities.shape[1]} labels, got {np.unique(targets).tolist()}"
        )


def softmax(logits: Floats, temperature: float = 1.0) -> NDArray[np.float64]:
    """Probabilities (N, K) of logits (N, K)."""
    scaled = logits.astype(np.float64) / temperature
    exponentials: NDArray[np.float64] = np.exp(scaled - scaled.max(axis=-1, keepdims=True))
    probabilities: NDArray[np.float64] = exponentials / exponentials.sum(axis=-1, keepdims=True)
    return probabilities


def confidence_bins(confidence: Floats) -> NDArray[np.int64]:
    """The bin of each confidence (N,), lower edges included; 1 has one of its own, as torchmetrics counts."""
    edges = np.linspace(0, 1, CALIBRATION_BINS + 1)
    return (np.searchsorted(edges, confidence, side="right") - 1).astype(np.int64)


def calibration_error(confidence: Floats, right: Bools) -> float:
    """Expected calibration error: mean distance of a bin's confidence from its accuracy, both of (N,)."""
    bins = confidence_bins(confidence)
    gaps = np.bincount(bins, weights=confidence) - np.bincount(bins, weights=right)
    return float(np.abs(gaps).sum() / len(confidence))


def mean_average_precision(probabilities: Floats, targets: Ints) -> float:
    """Area under the steps of precision over recall, the mean over the labels that are ever true."""
    from sklearn.metrics import average_precision_score  # slow to import, and not all who score rank

    each = [average_precision_score(targets == k, probabilities[:, k]) for k in np.unique(targets)]
    return float(np.mean(each))


def evaluate(probabilities: Floats, targets: Ints) -> ProbabilityScores:
    """All scores of probabilities.

    Args:
        probabilities: (N, K); NaN where one is not known, but not in all of a row.
        targets: (N,) indices of the true labels.

    Raises:
        ValueError: shapes or indices do not fit.
    """
    validate(probabilities, targets)
    if not len(targets):
        return ProbabilityScores(None, None)
    right = np.nanargmax(probabilities, axis=1) == targets
    known = not np.isnan(probabilities).any()
    return ProbabilityScores(
        map=mean_average_precision(probabilities, targets) if known else None,
        calibration_error=calibration_error(np.nanmax(probabilities, axis=1), right),
    )
