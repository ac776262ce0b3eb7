"""Class by class: how often each is right, what it is taken for, and what confidence is worth.

Conventions: logits are (N, K) of N clips; targets are (N,) indices of the true labels. A head's answer is
the label with the largest logit.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Annotated

import numpy as np
from numpy.typing import NDArray

from step_ros.scores.probabilities import Floats, Ints, softmax, validate
from step_ros.scores.score import Score, Scores, Value, share


@dataclass(frozen=True)
class ClassResult:
    """One class (a row of the STEP paper's table III)."""

    label: str
    clips: int
    accuracy: float
    """Share of its clips that are called so."""
    confusion: str | None
    """What it is most often taken for; None if it never is."""
    confusion_rate: float
    """Share of its clips that are taken for that."""


@dataclass(frozen=True)
class LabelScores(Scores):
    """One label among all answers; 0 where a share is of none."""

    support: Annotated[int, Score("updates", doc="while it is true", format="d")]
    precision: Annotated[float, Score("precision", "%", "of the answers that say so, those that are right")]
    recall: Annotated[Value, Score("recall", "%", "told so while it is true; None if it never is")]
    f1: Annotated[float, Score("F1", "%", "harmonic mean of both")]


@dataclass(frozen=True)
class PairResult:
    """One nearly symmetric pair."""

    first: str
    second: str
    clips: int
    """Of both classes."""
    first_as_second: float | None
    """Share of the first's clips that are called the second; None if it has no clips."""
    second_as_first: float | None
    """And the other way round."""


@dataclass(frozen=True)
class Rejection:
    """What happens when answers below a confidence are rejected."""

    threshold: float
    accepted: float
    """Share of clips that are answered."""
    accuracy: float | None
    """Share of those that are right; None if all are rejected."""


@dataclass(frozen=True)
class ClassReport:
    """How one head does, class by class, pair by pair, and threshold by threshold."""

    classes: list[ClassResult]
    pairs: list[PairResult]
    rejection: list[Rejection]


def confusion_matrix(targets: Ints, answers: Ints, classes: int) -> NDArray[np.int64]:
    """How often each label (rows) was told as each (columns): (K, K) of (N,) indices of truth and answers."""
    counts = np.zeros((classes, classes), np.int64)
    np.add.at(counts, (targets, answers), 1)
    return counts


def class_result(counts: NDArray[np.int64], labels: Sequence[str], label: int) -> ClassResult:
    """One of the labels, which has been true, by the counts of `confusion_matrix`."""
    total = int(counts[label].sum())
    shares = counts[label] / total
    wrong = np.where(np.arange(len(labels)) == label, 0, shares)
    mistaken, rate = int(wrong.argmax()), float(wrong.max())
    return ClassResult(labels[label], total, float(shares[label]), labels[mistaken] if rate else None, rate)


def label_scores(counts: NDArray[np.int64], label: int) -> LabelScores:
    """Precision, recall and F1 of the label of an index, by the counts of `confusion_matrix`."""
    right, true, said = int(counts[label, label]), int(counts[label].sum()), int(counts[:, label].sum())
    return LabelScores(
        support=true,
        precision=right / max(said, 1),
        recall=right / true if true else None,
        f1=2 * right / max(said + true, 1),
    )


def evaluate(
    logits: Floats,
    targets: Ints,
    labels: Sequence[str],
    pairs: Sequence[tuple[str, str]],
    *,
    temperature: float = 1.0,
) -> ClassReport:
    """Break down a head's answers.

    Args:
        logits: (N, K) of clips.
        targets: (N,) indices of the true labels.
        labels: the K labels.
        pairs: nearly symmetric pairs of labels.
        temperature: of the head, for its confidence.

    Raises:
        ValueError: shapes or indices do not fit.
    """
    validate(logits, targets)
    answers = logits.argmax(axis=1)
    counts = confusion_matrix(targets, answers, len(labels))
    classes = [class_result(counts, labels, label) for label in np.unique(targets).tolist()]
    pair_results = []
    for first, second in pairs:
        a, b = answers[targets == labels.index(first)], answers[targets == labels.index(second)]
        taken = share(a == labels.index(second)), share(b == labels.index(first))
        pair_results.append(PairResult(first, second, len(a) + len(b), *taken))
    confidence = softmax(logits, temperature).max(axis=1)
    right = answers == targets
    curve = []
    for step in range(20):
        kept = confidence >= step / 20
        curve.append(Rejection(step / 20, float(kept.mean()), share(right[kept])))
    return ClassReport(classes, pair_results, curve)
