"""What planners are told about each perception: the same for a live camera and for a replayed recording."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from step_ros.perception.label_filter import FilterSettings
from step_ros.perception.prediction import Perception
from step_ros.perception.stable_labels import StableLabels
from step_ros.probes import HeadConfig


@dataclass(frozen=True)
class Announcement:
    """The content of one vision_msgs/Classification."""

    task: str
    """Which task it speaks of."""
    stable: bool
    """Whether it is a change of the filtered label (``~/<task>/stable``) or an update (``~/<task>``)."""
    stamp_ns: int
    """Of an update, the newest frame's stamp; of a change, the stamp from which on it held."""
    results: tuple[tuple[str, float], ...]
    """Labels with their probabilities, best first; empty when no label holds any more."""


class Announcements:
    """Turns perceptions into announcements; safe to use from several threads.

    Args:
        heads: configs by task.
    """

    def __init__(self, heads: Mapping[str, HeadConfig]) -> None:
        self._heads = dict(heads)
        self._stable_labels = StableLabels(heads)

    def set_heads(self, heads: Mapping[str, HeadConfig]) -> None:
        """Go on with other heads; tasks whose labels are the same keep their filtered label."""
        self._stable_labels.set_heads(heads)
        self._heads = dict(heads)

    def of(self, perception: Perception, *, top_k: int, settings: FilterSettings) -> list[Announcement]:
        """Every task's update, then the filtered labels that change with it or are taken back.

        Args:
            perception: what is to be told; answers of a head that is just being replaced are left out.
            top_k: how many labels an update names, at least 1.
            settings: of the filter.
        """
        heads = self._heads
        updates = [
            Announcement(
                task,
                False,
                perception.stamp_ns,
                tuple(prediction.decided(top_k, heads[task].rejection_threshold)),
            )
            for task, prediction in perception.predictions.items()
            if task in heads and heads[task].labels == prediction.labels
        ]
        changes = [
            Announcement(change.task, True, change.onset_ns, ((change.label, change.confidence),))
            for change in self._stable_labels.update(perception, settings)
        ]
        taken_back = [
            Announcement(task, True, perception.stamp_ns, ())
            for task in perception.not_finite
            if self._stable_labels.forget(task)
        ]
        return updates + changes + taken_back

    def withdraw(self, stamp_ns: int) -> list[Announcement]:
        """Take every filtered label back: nothing is to be believed from here on."""
        self._stable_labels.reset()
        return [Announcement(task, True, stamp_ns, ()) for task in self._heads]
