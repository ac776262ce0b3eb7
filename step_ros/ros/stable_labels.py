"""The filtered label of every task, with settings that may change at any time."""

from __future__ import annotations

import threading
from dataclasses import dataclass

from step_ros.perception import LabelFilter, Perception, StableLabel


@dataclass(frozen=True)
class FilterSettings:
    """See `LabelFilter`."""

    on_seconds: float
    """How long a label must hold before it counts."""
    off_seconds: float
    """How long it must be gone before it is taken back."""
    threshold: float
    """The probability that it needs, in [0, 1]."""


class StableLabels:
    """One `LabelFilter` a task; safe to use from several threads."""

    def __init__(self) -> None:
        self._filters: dict[str, LabelFilter] = {}
        self._settings: FilterSettings | None = None
        self._lock = threading.Lock()

    def update(self, perception: Perception, settings: FilterSettings) -> list[StableLabel]:
        """The labels that change with this perception; new settings start afresh."""
        with self._lock:
            if settings != self._settings:
                self._settings = settings
                self._filters = {
                    task: LabelFilter(settings.on_seconds, settings.off_seconds, settings.threshold)
                    for task in perception.predictions
                }
            updates = (
                self._filters[task].update(perception.stamp_ns, prediction)
                for task, prediction in perception.predictions.items()
            )
            return [update for update in updates if update is not None]

    def reset(self) -> list[str]:
        """Forget everything; returns the tasks that had a label."""
        with self._lock:
            on = [task for task, label_filter in self._filters.items() if label_filter.label]
            for label_filter in self._filters.values():
                label_filter.reset()
            return on
