"""From a label for every window to one that changes only when it means it."""

from __future__ import annotations

import math
from dataclasses import dataclass

from step_ros.perception.prediction import Prediction


@dataclass(frozen=True)
class StableLabel:
    """A filtered label that has just changed."""

    task: str
    """The task."""
    label: str
    """The new label; empty when no label holds any more."""
    confidence: float
    """The label's probability at the time of the change; 0 of the empty label."""
    onset_ns: int
    """Stamp from which on the new label held: when it came up, not when that was certain."""


class LabelFilter:
    """Hysteresis for one task.

    A label switches on once it has been the best, at or above the threshold, for `on_seconds` without a
    break; it then takes the place of the one before. The label that is on switches off once its probability
    has been below the threshold for `off_seconds` without a break; the label is then empty.

    Args:
        on_seconds: at least 0; with 0 a label switches on at once.
        off_seconds: at least 0; with 0 a label switches off at once.
        threshold: least probability of a label that counts, in [0, 1].

    Raises:
        ValueError: an argument is out of its range.

    Example:
        >>> import numpy as np
        >>> def seen(p):
        ...     return Prediction("door", ("open", "close"), np.array([p, 1 - p], dtype=np.float32))
        >>> label_filter = LabelFilter(on_seconds=0.5, off_seconds=0.5, threshold=0.6)
        >>> label_filter.update(0, seen(0.9)) is None
        True
        >>> label_filter.update(500_000_000, seen(0.75))
        StableLabel(task='door', label='open', confidence=0.75, onset_ns=0)
    """

    def __init__(self, on_seconds: float, off_seconds: float, threshold: float) -> None:
        for name, seconds in (("on_seconds", on_seconds), ("off_seconds", off_seconds)):
            if not 0 <= seconds < math.inf:
                raise ValueError(f"{name} must be at least 0, got {seconds}")
        if not 0 <= threshold <= 1:
            raise ValueError(f"threshold must lie in [0, 1], got {threshold}")
        self.threshold = threshold
        self._on_ns = round(on_seconds * 1e9)
        self._off_ns = round(off_seconds * 1e9)
        self._label = ""
        self._candidate = ""
        self._candidate_since_ns = 0
        self._below_since_ns: int | None = None
        self._stamp_ns: int | None = None

    @property
    def label(self) -> str:
        """The filtered label; empty while none holds."""
        return self._label

    def update(self, stamp_ns: int, prediction: Prediction) -> StableLabel | None:
        """Take the next prediction; return the filtered label if it changed.

        A stamp before the last one (a bag that loops) starts afresh: the label that was on switches off.
        """
        if self._stamp_ns is not None and stamp_ns < self._stamp_ns:
            was_on = bool(self._label)
            self.reset()
            if was_on:
                self._stamp_ns = stamp_ns
                return self._change_to("", stamp_ns, prediction)
        self._stamp_ns = stamp_ns

        candidate = prediction.label if prediction.confidence >= self.threshold else ""
        if candidate != self._candidate:
            self._candidate, self._candidate_since_ns = candidate, stamp_ns
        if candidate and candidate != self._label and stamp_ns - self._candidate_since_ns >= self._on_ns:
            return self._change_to(candidate, self._candidate_since_ns, prediction)

        if self._label and prediction.probability(self._label) < self.threshold:
            if self._below_since_ns is None:
                self._below_since_ns = stamp_ns
            if stamp_ns - self._below_since_ns >= self._off_ns:
                return self._change_to("", self._below_since_ns, prediction)
        else:
            self._below_since_ns = None
        return None

    def reset(self) -> None:
        """Forget everything; no label is on."""
        self._label = ""
        self._candidate = ""
        self._candidate_since_ns = 0
        self._below_since_ns = None
        self._stamp_ns = None

    def _change_to(self, label: str, onset_ns: int, prediction: Prediction) -> StableLabel:
        self._label = label
        self._below_since_ns = None
        confidence = prediction.probability(label) if label else 0.0
        return StableLabel(prediction.task, label, confidence, onset_ns)
