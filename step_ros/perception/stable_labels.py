"""The filtered labels of all tasks together, with settings that may change at any time."""

from __future__ import annotations

import threading
from collections.abc import Mapping
from dataclasses import replace

from step_ros.perception.label_filter import FilterSettings, LabelFilter, StableLabel
from step_ros.perception.prediction import Perception
from step_ros.probes import HeadConfig


class StableLabels:
    """One `LabelFilter` a task; safe to use from several threads.

    Args:
        heads: configs by task: the idle label, and the rejection threshold, below which no label is believed
            whatever the settings say.
    """

    def __init__(self, heads: Mapping[str, HeadConfig]) -> None:
        self._heads = dict(heads)
        self._filters: dict[str, LabelFilter] = {}
        self._lock = threading.Lock()

    def set_heads(self, heads: Mapping[str, HeadConfig]) -> None:
        """Go on with other heads; tasks whose labels are the same keep theirs."""
        with self._lock:
            for task, config in self._heads.items():
                if task not in heads or heads[task].labels != config.labels:
                    self._filters.pop(task, None)
            self._heads = dict(heads)

    def update(self, perception: Perception, settings: FilterSettings) -> list[StableLabel]:
        """The labels that change with this perception.

        Tasks that it does not answer keep what they have; see `forget`.
        """
        changes = []
        with self._lock:
            for task, prediction in perception.predictions.items():
                config = self._heads.get(task)
                if config is None or config.labels != prediction.labels:
                    continue  # of a head that is just being replaced
                own = replace(settings, threshold=max(settings.threshold, config.rejection_threshold))
                if task not in self._filters:
                    self._filters[task] = LabelFilter(own, idle_label=config.idle_label)
                label_filter = self._filters[task]
                label_filter.settings = own
                change = label_filter.update(perception.stamp_ns, prediction)
                if change is not None:
                    changes.append(change)
        return changes

    def forget(self, task: str) -> bool:
        """Forget one task; returns whether it had a label."""
        with self._lock:
            label_filter = self._filters.pop(task, None)
            return label_filter is not None and label_filter.label is not None

    def reset(self) -> list[str]:
        """Forget everything; returns the tasks that had a label."""
        with self._lock:
            on = [task for task, label_filter in self._filters.items() if label_filter.label is not None]
            self._filters.clear()
            return on
