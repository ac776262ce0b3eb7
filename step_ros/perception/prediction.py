"""What perception says: a prediction for each task, for one window."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from step_ros.perception.not_finite import NotFiniteError

UNKNOWN = "unknown"
"""The label of what no label is sure enough of."""


@dataclass(frozen=True, eq=False)
class Prediction:
    """One task's answer for one window.

    Raises:
        NotFiniteError: on construction, if a probability is no number: that is no answer.
    """

    task: str
    """The task, e.g. ``atomic_action``."""
    labels: tuple[str, ...]
    """The K labels, in the order of `probabilities`."""
    probabilities: NDArray[np.float32]
    """(K,) float32, calibrated; they sum to one."""

    def __post_init__(self) -> None:
        """Check that there is one probability a label, and that each is a number."""
        if self.probabilities.shape != (len(self.labels),):
            raise ValueError(
                f"{self.task}: expected {len(self.labels)} probabilities, one a label, "
                f"got shape {self.probabilities.shape}"
            )
        if not np.isfinite(self.probabilities).all():
            raise NotFiniteError((self.task,))

    @property
    def label(self) -> str:
        """The most probable label."""
        return self.labels[int(self.probabilities.argmax())]

    @property
    def confidence(self) -> float:
        """The probability of the most probable label."""
        return float(self.probabilities.max())

    def probability(self, label: str) -> float:
        """The probability of a label.

        Raises:
            ValueError: the task has no such label.
        """
        if label not in self.labels:
            raise ValueError(f"{self.task} has no label {label!r}; its labels are {list(self.labels)}")
        return float(self.probabilities[self.labels.index(label)])

    def decided(self, k: int, threshold: float) -> list[tuple[str, float]]:
        """As `top`, but led by `UNKNOWN` where even the best label's probability is below the threshold.

        The score of `UNKNOWN` is one minus that of the best label.
        """
        best = self.confidence
        return ([(UNKNOWN, 1 - best)] if best < threshold else []) + self.top(k)

    def top(self, k: int) -> list[tuple[str, float]]:
        """The k most probable labels with their probabilities, best first; all of them if there are fewer."""
        order = np.argsort(-self.probabilities, kind="stable")[:k]
        return [(self.labels[i], float(self.probabilities[i])) for i in order]


@dataclass(frozen=True, eq=False)
class Perception:
    """All tasks' answers for one window."""

    stamp_ns: int
    """Stamp of the newest frame in the window."""
    window_start_ns: int
    """Time of the window's first position on the grid."""
    predictions: dict[str, Prediction]
    """By task."""
    held_positions: int
    """How many of the window's T positions had no frame of their own and show an older one."""
    not_finite: tuple[str, ...] = ()
    """Tasks without a prediction, because what their heads give are no finite numbers."""
