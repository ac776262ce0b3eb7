"""Segmental scores: do the labels over time form the right segments, in the right order?

As the action segmentation literature computes them: the edit score and F1@k of Lea et al., *Temporal
Convolutional Networks for Action Segmentation and Detection* (CVPR 2017), in the form that Abu Farha and
Gall, *MS-TCN* (CVPR 2019), made common. Background segments do not count.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from itertools import groupby

OVERLAPS = (0.10, 0.25, 0.50)
"""The k of F1@k: least intersection over union of a segment that counts as found."""


@dataclass(frozen=True)
class FrameSegment:
    """A run of equal labels."""

    label: str
    """The label."""
    start: int
    """Index of its first frame."""
    end: int
    """Index after its last frame."""


def frame_segments(labels: Sequence[str], background: Collection[str] = ()) -> list[FrameSegment]:
    """The runs of equal labels, in order, without those of background.

    Example:
        >>> frame_segments(["idle", "open", "open"], background=["idle"])
        [FrameSegment(label='open', start=1, end=3)]
    """
    segments = []
    start = 0
    for label, run in groupby(labels):
        end = start + len(list(run))
        if label not in background:
            segments.append(FrameSegment(label, start, end))
        start = end
    return segments


def edit_score(predicted: Sequence[str], true: Sequence[str], background: Collection[str] = ()) -> float:
    """How alike the orders of segments are, whenever they happen: 1 - Levenshtein distance / longer length.

    Args:
        predicted: a label a frame.
        true: likewise, as many.
        background: labels that are no segments.

    Returns:
        In [0, 1]; 1 where neither has a segment.

    Raises:
        ValueError: the lengths differ.
    """
    _check_lengths(predicted, true)
    said = [segment.label for segment in frame_segments(predicted, background)]
    is_true = [segment.label for segment in frame_segments(true, background)]
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

    Args:
        predicted: a label a frame.
        true: likewise, as many.
        overlap: k, the least intersection over union.
        background: labels that are no segments.

    Returns:
        In [0, 1]; 1 where neither has a segment.

    Raises:
        ValueError: the lengths differ.
    """
    _check_lengths(predicted, true)
    said, is_true = frame_segments(predicted, background), frame_segments(true, background)
    if not said and not is_true:
        return 1.0
    claimed: set[int] = set()
    for segment in said:
        shares = [_overlap(segment, other) for other in is_true]
        best = max(range(len(shares)), key=shares.__getitem__, default=None)
        if best is not None and shares[best] >= overlap and best not in claimed:
            claimed.add(best)
    return 2 * len(claimed) / (len(said) + len(is_true))


def _overlap(a: FrameSegment, b: FrameSegment) -> float:
    """Intersection over union of two segments of one label; 0 of different labels.

    The union is taken, as MS-TCN does, from the first beginning to the last end.
    """
    if a.label != b.label:
        return 0.0
    intersection = max(0, min(a.end, b.end) - max(a.start, b.start))
    return intersection / (max(a.end, b.end) - min(a.start, b.start))


def _check_lengths(predicted: Sequence[str], true: Sequence[str]) -> None:
    if len(predicted) != len(true):
        raise ValueError(f"as many predicted as true labels are needed, got {len(predicted)} and {len(true)}")
