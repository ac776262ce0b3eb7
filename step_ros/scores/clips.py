"""How well a head does clip by clip, in the STEP paper's terms: symmetric, other, and played backwards.

Conventions: logits are (N, K) of N clips; targets are (N,) indices of the true labels. A head's answer is
the label with the largest logit. Pairs are labels that are each other played backwards; a clip is symmetric
if its true label is in one.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Annotated, ClassVar

import numpy as np
from numpy.typing import NDArray

from step_ros.scores.probabilities import CALIBRATION_BINS, Bools, Floats, Ints, calibration_error, softmax
from step_ros.scores.score import Score, Scores, Value, share


@dataclass(frozen=True)
class ClipScores(Scores):
    """Shares in [0, 1] over test clips; None where there is nothing to count."""

    DECIMALS: ClassVar[int | None] = None  # several runs' are averaged

    clips: Annotated[int, Score("number", doc="clips that were judged", format="d")]
    top1: Annotated[float, Score("top-1", "%", "right (table I, overall)")]
    top5: Annotated[float, Score("top-5", "%", "right among the five likeliest")]
    mean_class: Annotated[float, Score("mean over classes", "%", "mean of each class's own top-1")]
    symmetric: Annotated[
        Value, Score("nearly symmetric", "%", "top-1 over clips of nearly symmetric classes (table I, Sym)")
    ]
    non_symmetric: Annotated[Value, Score("other", "%", "top-1 over the others (table I, N-Sym)")]
    pair_accuracy: Annotated[
        Value, Score("before its partner", "%", "symmetric clips whose class is likelier than its partner")
    ]
    reversed_top1: Annotated[
        float,
        Score("top-1 backwards", "%", "against the unchanged label when clips run backwards (table II)"),
    ]
    reversed_to_partner: Annotated[
        Value,
        Score(
            "turned to partner", "%", "of symmetric clips right forwards, those called the partner backwards"
        ),
    ]
    direction_accuracy: Annotated[
        Value,
        Score(
            "forward/reversed", "%", "over clips in both directions; of heads for the task `direction` only"
        ),
    ]
    calibration_error: Annotated[
        float,
        Score("calibration error", "%", f"distance of confidence from accuracy, in {CALIBRATION_BINS} bins"),
    ]


def partner_indices(labels: Sequence[str], pairs: Sequence[tuple[str, str]]) -> NDArray[np.int64]:
    """Of each of K labels the index of its partner (K,), or -1."""
    index = {label: i for i, label in enumerate(labels)}
    partner = np.full(len(labels), -1, np.int64)
    for a, b in pairs:
        partner[index[a]], partner[index[b]] = index[b], index[a]
    return partner


def among_likeliest(logits: Floats, targets: Ints, count: int) -> Bools:
    """Whether each true label is among the so many likeliest (N,); of equal ones, the first in order are."""
    likeliest = np.argsort(-logits, axis=1, kind="stable")[:, :count]
    hits: Bools = (likeliest == targets[:, None]).any(axis=1)
    return hits


def evaluate(
    logits: Floats,
    reversed_logits: Floats,
    targets: Ints,
    labels: Sequence[str],
    pairs: Sequence[tuple[str, str]],
    *,
    temperature: float = 1.0,
    direction: bool = False,
) -> ClipScores:
    """Judge a head's answers.

    Args:
        logits: (N, K) of clips.
        reversed_logits: (N, K) of the same clips played backwards.
        targets: (N,) indices of the true labels.
        labels: the K labels.
        pairs: nearly symmetric pairs of labels.
        temperature: of the head, for its confidence.
        direction: whether the labels say which way a clip runs, so that each has its partner's backwards.

    Raises:
        ValueError: there are no clips, or logits are not (N, K) of the N targets and K labels.
    """
    if len(targets) == 0:
        raise ValueError("there are no clips to judge")
    count, classes = len(targets), len(labels)
    for each in (logits, reversed_logits):
        if each.shape != (count, classes):
            raise ValueError(f"logits of {count} clips and {classes} labels are needed, got {each.shape}")
    partner = partner_indices(labels, pairs)
    right = logits.argmax(axis=1) == targets
    turned = reversed_logits.argmax(axis=1)
    symmetric = partner[targets] >= 0
    answers = right & symmetric
    rows = np.flatnonzero(symmetric)
    own, other = logits[rows, targets[rows]], logits[rows, partner[targets[rows]]]
    both_ways = np.concatenate([right, turned == partner[targets]]) if direction else right[:0]
    confidence = softmax(logits, temperature).max(axis=1)
    return ClipScores(
        clips=len(targets),
        top1=float(right.mean()),
        top5=float(among_likeliest(logits, targets, 5).mean()),
        mean_class=float(np.mean([right[targets == label].mean() for label in np.unique(targets)])),
        symmetric=share(right[symmetric]),
        non_symmetric=share(right[~symmetric]),
        pair_accuracy=share(own > other),
        reversed_top1=float((turned == targets).mean()),
        reversed_to_partner=share(turned[answers] == partner[targets[answers]]),
        direction_accuracy=share(both_ways),
        calibration_error=calibration_error(confidence, right),
    )
