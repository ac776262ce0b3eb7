"""A task's updates beside what is true, the form that tables and figures start from."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from step_ros.runs.run import Run
from step_ros.scores.classes import confusion_matrix
from step_ros.scores.timeline import UNLABELLED


@dataclass(frozen=True, eq=False)
class Scored:
    """The N updates of one task whose true label is known and is one of the head's."""

    task: str
    """The task."""
    labels: tuple[str, ...]
    """The K labels."""
    pairs: tuple[tuple[str, str], ...]
    """Nearly symmetric pairs."""
    idle: str | None
    """The label that means that nothing happens."""
    stamps_ns: NDArray[np.int64]
    """(N,)."""
    true: NDArray[np.int64]
    """(N,) indices of labels."""
    said: NDArray[np.int64]
    """(N,) indices of labels."""
    confidence: NDArray[np.float32]
    """(N,) the said label's probability."""

    @property
    def partner(self) -> dict[str, str]:
        """Each paired label's partner."""
        return {a: b for pair in self.pairs for a, b in (pair, pair[::-1])}

    def confusion(self) -> NDArray[np.int64]:
        """(K, K) updates, by true label and said label."""
        return confusion_matrix(self.true, self.said, len(self.labels))


def scored(run: Run, task: str) -> Scored:
    """One task of a run; a task without truth has no updates."""
    described = run.tasks[task]
    index = {label: i for i, label in enumerate(described.labels)}
    truth = run.truth.get(task)
    rows = [
        (update.stamp_ns, index[label], int(np.nanargmax(p)), float(np.nanmax(p)))
        for update in run.answers(task)
        for p in [update.probabilities[task]]
        for label in [truth.at(update.stamp_ns) if truth is not None else UNLABELLED]
        if label in index
    ]
    columns = list(zip(*rows, strict=True)) or [(), (), (), ()]
    return Scored(
        task=task,
        labels=described.labels,
        pairs=described.symmetric_pairs,
        idle=described.idle_label,
        stamps_ns=np.array(columns[0], np.int64),
        true=np.array(columns[1], np.int64),
        said=np.array(columns[2], np.int64),
        confidence=np.array(columns[3], np.float32),
    )


def words(name: str) -> str:
    """A label or task as people write it."""
    return name.replace("_", " ")
