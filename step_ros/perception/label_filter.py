"""From a label for every window to one that changes only when it means it."""

from __future__ import annotations

import math
from dataclasses import dataclass

from step_ros.perception.prediction import UNKNOWN, Prediction


@dataclass(frozen=True)
class FilterSettings:
    """When a label is believed, and when no longer.

    Raises:
        ValueError: on construction, naming the field that is out of its range.
    """

    on_seconds: float
    """How long a label must hold before it counts; at least 0."""
    off_seconds: float
    """How long it must be gone before it is taken back; at least 0."""
    threshold: float
    """The probability that it needs, in [0, 1]."""

    def __post_init__(self) -> None:
        """Check the ranges."""
        for name in ("on_seconds", "off_seconds"):
            if not 0 <= getattr(self, name) < math.inf:
                raise ValueError(f"{name} must be at least 0, got {getattr(self, name)}")
        if not 0 <= self.threshold <= 1:
            raise ValueError(f"threshold must lie in [0, 1], got {self.threshold}")


@dataclass(frozen=True)
class StableLabel:
    """A filtered label that has just changed."""

    task: str
    """The task."""
    label: str
    """The new label: an action, the idle label, or `UNKNOWN`."""
    confidence: float
    """The label's probability at the time of the change; of `UNKNOWN`, one minus the best label's."""
    onset_ns: int
    """Stamp from which on the new label held: when it came up, not when that was certain."""


class LabelFilter:
    """Hysteresis for one task.

    A label switches on once it has been the best, at or above the threshold, for `on_seconds` without a
    break; it then takes the place of the one before. It switches off once its probability has been below the
    threshold for `off_seconds` without a break. What takes its place then is the absence of an action: the
    idle label if that is the best, at or above the threshold, and else `UNKNOWN`. Which of the two it is also
    takes `off_seconds` to change: idle is what is left when nothing happens, and needs no haste.

    Args:
        settings: may be replaced at any time; what is on stays on.
        idle_label: the label that means that nothing happens, if there is one.

    Example:
        >>> import numpy as np
        >>> def seen(p):
        ...     return Prediction("door", ("open", "close"), np.array([p, 1 - p], dtype=np.float32))
        >>> label_filter = LabelFilter(FilterSettings(on_seconds=0.5, off_seconds=0.5, threshold=0.6))
        >>> label_filter.update(0, seen(0.9)) is None
        True
        >>> label_filter.update(500_000_000, seen(0.75))
        StableLabel(task='door', label='open', confidence=0.75, onset_ns=0)
    """

    def __init__(self, settings: FilterSettings, *, idle_label: str | None = None) -> None:
        self.settings = settings
        self._absent = {UNKNOWN, idle_label}
        self._label: str | None = None
        self._candidate: str | None = None
        self._candidate_since_ns = 0
        self._below_since_ns: int | None = None
        self._stamp_ns: int | None = None

    @property
    def label(self) -> str | None:
        """The filtered label; None before there has been one."""
        return self._label

    def update(self, stamp_ns: int, prediction: Prediction) -> StableLabel | None:
        """Take the next prediction; return the filtered label if it changed.

        A stamp before the last one (a bag that loops) starts afresh: the label that was on switches off.
        """
        if self._stamp_ns is not None and stamp_ns < self._stamp_ns:
            was_on = self._label not in (None, UNKNOWN)
            self.reset()
            if was_on:
                self._stamp_ns = stamp_ns
                return self._change_to(UNKNOWN, stamp_ns, prediction)
        self._stamp_ns = stamp_ns

        threshold = self.settings.threshold
        candidate = prediction.label if prediction.confidence >= threshold else UNKNOWN
        if candidate != self._candidate:
            self._candidate, self._candidate_since_ns = candidate, stamp_ns
        held_ns = stamp_ns - self._candidate_since_ns
        off_ns = round(self.settings.off_seconds * 1e9)

        if candidate not in self._absent:
            if candidate != self._label and held_ns >= round(self.settings.on_seconds * 1e9):
                return self._change_to(candidate, self._candidate_since_ns, prediction)
        elif self._label is None or self._label in self._absent:
            if candidate != self._label and held_ns >= off_ns:
                return self._change_to(candidate, self._candidate_since_ns, prediction)
            return None

        if self._label is None or self._label in self._absent:
            return None
        if prediction.probability(self._label) >= threshold:
            self._below_since_ns = None
            return None
        if self._below_since_ns is None:
            self._below_since_ns = stamp_ns
        if stamp_ns - self._below_since_ns >= off_ns:
            gone = candidate if candidate in self._absent else UNKNOWN
            return self._change_to(gone, self._below_since_ns, prediction)
        return None

    def reset(self) -> None:
        """Forget everything; there is no label."""
        self._label = None
        self._candidate = None
        self._candidate_since_ns = 0
        self._below_since_ns = None
        self._stamp_ns = None

    def _change_to(self, label: str, onset_ns: int, prediction: Prediction) -> StableLabel:
        self._label = label
        self._below_since_ns = None
        confidence = 1 - prediction.confidence if label == UNKNOWN else prediction.probability(label)
        return StableLabel(prediction.task, label, confidence, onset_ns)
