"""Class by class: how often each is right, what it is taken for, and what confidence is worth."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

import torch
from torch import Tensor
from torchmetrics.functional.classification import multiclass_confusion_matrix


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
    """All of it."""

    classes: list[ClassResult]
    pairs: list[PairResult]
    rejection: list[Rejection]

    def to_json(self) -> dict[str, Any]:
        """As a JSON object."""
        return asdict(self)


def class_report(
    logits: Tensor,
    targets: Tensor,
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
    """
    counts = multiclass_confusion_matrix(logits, targets, len(labels))  # truth, answer
    totals = counts.sum(1)
    classes = []
    for i, label in enumerate(labels):
        if totals[i] == 0:
            continue
        wrong = counts[i].clone()
        wrong[i] = 0
        most = int(wrong.argmax())
        mistaken = int(wrong[most]) > 0
        classes.append(
            ClassResult(
                label,
                int(totals[i]),
                float(counts[i, i] / totals[i]),
                labels[most] if mistaken else None,
                float(wrong[most] / totals[i]),
            )
        )
    index = {label: i for i, label in enumerate(labels)}
    pair_results = [
        PairResult(
            a,
            b,
            int(totals[index[a]] + totals[index[b]]),
            _rate(counts, index[a], index[b]),
            _rate(counts, index[b], index[a]),
        )
        for a, b in pairs
    ]
    confidence, answers = torch.softmax(logits / temperature, dim=-1).max(dim=-1)
    curve = []
    for step in range(20):
        kept = confidence >= step / 20
        right = (answers == targets)[kept].float()
        curve.append(
            Rejection(step / 20, float(kept.float().mean()), float(right.mean()) if len(right) else None)
        )
    return ClassReport(classes, pair_results, curve)


def _rate(counts: Tensor, truth: int, answer: int) -> float | None:
    total = int(counts[truth].sum())
    return float(counts[truth, answer]) / total if total else None
