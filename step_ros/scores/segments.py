"""Segmental scores: do the labels over time form the right segments, in the right order?

As the action segmentation literature computes them: the edit score and F1@k of Lea et al., *Temporal
Convolutional Networks for Action Segmentation and Detection* (CVPR 2017), in the form that Abu Farha and
Gall, *MS-TCN* (CVPR 2019), made common.

Conventions: predicted and true labels are sequences of one length, a label a frame. A segment is a run of
equal labels; background forms none. Scores are in [0, 1], and 1 where neither side has a segment.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from itertools import groupby
from typing import Annotated

from step_ros.scores.score import Score, Scores, Value

_FOUND = "F1 of segments that overlap a true one by at least"


@dataclass(frozen=True)
class SegmentScores(Scores):
    """None where no frame is labelled."""

    f1_at_10: Annotated[Value, Score("F1@10", "%", f"{_FOUND} a tenth of their union", key="f1@10")]
    f1_at_25: Annotated[Value, Score("F1@25", "%", f"{_FOUND} a quarter", key="f1@25")]
    f1_at_50: Annotated[Value, Score("F1@50", "%", f"{_FOUND} half", key="f1@50")]
    edit: Annotated[Value, Score("edit", "%", "likeness of the orders of segments, whenever they happen")]


def label_runs(labels: Sequence[str], background: Collection[str] = ()) -> list[tuple[str, range]]:
    """The runs of equal labels and the frames of each, in order, without those of background.

    Example:
        >>> label_runs(["idle", "open", "open"], background=["idle"])
        [('open', range(1, 3))]
    """
    runs = []
    start = 0
    for label, run in groupby(labels):
        end = start + len(list(run))
        if label not in background:
            runs.append((label, range(start, end)))
        start = end
    return runs


def edit_score(predicted: Sequence[str], true: Sequence[str], background: Collection[str] = ()) -> float:
    """How alike the orders of segments are, whenever they happen: 1 - Levenshtein distance / longer one."""
    said = [label for label, _ in label_runs(predicted, background)]
    is_true = [label for label, _ in label_runs(true, background)]
    if not said and not is_true:
        return 1.0
    row = list(range(len(is_true) + 1))  # distances from what was said so far to each beginning of the truth
    for i, label in enumerate(said, start=1):
        above_left, row[0] = row[0], i
        for j, other in enumerate(is_true, start=1):
            above_left, row[j] = row[j], min(row[j] + 1, row[j - 1] + 1, above_left + (label != other))
    return 1.0 - row[-1] / max(len(said), len(is_true))


def f1_score(
    predicted: Sequence[str], true: Sequence[str], overlap: float, background: Collection[str] = ()
) -> float:
    """F1@k: a segment is right if it overlaps a true one of its label, which no other has claimed, enough.

    Enough is an intersection over union of `overlap`, which is k.
    """
    said, is_true = label_runs(predicted, background), label_runs(true, background)
    if not said and not is_true:
        return 1.0
    claimed: set[int] = set()
    for label, frames in said:
        shares = [_overlap(frames, own) if label == other else 0.0 for other, own in is_true]
        best = max(range(len(shares)), key=shares.__getitem__, default=None)
        if best is not None and shares[best] >= overlap and best not in claimed:
            claimed.add(best)
    return 2 * len(claimed) / (len(said) + len(is_true))


def _overlap(a: range, b: range) -> float:
    """Intersection over union; the union, as MS-TCN takes it, from the first beginning to the last end."""
    intersection = max(0, min(a.stop, b.stop) - max(a.start, b.start))
    return intersection / (max(a.stop, b.stop) - min(a.start, b.start))


def evaluate(
    predicted: Sequence[str], true: Sequence[str], background: Collection[str] = ()
) -> SegmentScores:
    """All segmental scores.

    Args:
        predicted: a label a frame.
        true: likewise, as many.
        background: labels that are no segments.

    Raises:
        ValueError: the lengths differ.
    """
    if len(predicted) != len(true):
        raise ValueError(f"as many predicted as true labels are needed, got {len(predicted)} and {len(true)}")
    if not true:
        return SegmentScores(None, None, None, None)
    f1_at = {k: f1_score(predicted, true, k / 100, background) for k in (10, 25, 50)}
    return SegmentScores(f1_at[10], f1_at[25], f1_at[50], edit_score(predicted, true, background))
