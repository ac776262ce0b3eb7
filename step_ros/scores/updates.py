"""How good were labels that came live? Scores of updates against a truth that changes over time.

Conventions: an update is judged by what is true at its stamp, and received on the same clock; one that
falls into unlabelled time does not count. Metrics are NaN where there is nothing to count.
"""

from __future__ import annotations

import math
import statistics
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import zip_longest
from typing import Annotated

from step_ros.scores.score import Score, Scores, none_if_nan
from step_ros.scores.timeline import UNLABELLED, TruthTimeline


@dataclass(frozen=True)
class Update:
    """One label of one task, as a planner got it."""

    task: str
    """The task."""
    label: str
    """The most probable label."""
    confidence: float
    """Its probability."""
    stamp_ns: int
    """Stamp of the newest frame that the label rests on."""
    received_ns: int
    """When the planner had it, on the same clock."""


@dataclass(frozen=True)
class Onsets:
    """How soon the beginnings of actions were noticed."""

    delays_s: tuple[float, ...]
    """Of each that was noticed: from its onset to the receipt of the first update that says so, seconds."""
    missed: int
    """How many were over before any update said so."""

    @property
    def count(self) -> int:
        """How many there were."""
        return len(self.delays_s) + self.missed

    @property
    def median_s(self) -> float:
        """Median delay in seconds; NaN if none was noticed."""
        return statistics.median(self.delays_s) if self.delays_s else math.nan

    @property
    def detected(self) -> float:
        """Share that was noticed; NaN if there were none."""
        return len(self.delays_s) / self.count if self.count else math.nan

    def __add__(self, other: Onsets) -> Onsets:
        """Both together."""
        return Onsets(self.delays_s + other.delays_s, self.missed + other.missed)


@dataclass(frozen=True)
class OnsetScores(Scores):
    """Of `Onsets`."""

    count: Annotated[int, Score("number", doc="beginnings of actions, idle not among them", format="d")]
    detected: Annotated[float | None, Score("found", "%", "noticed before the action was over")]
    delay_s: Annotated[
        float | None, Score("delay", "s", "median, from the onset to the first update that says so", ".2f")
    ]


@dataclass(frozen=True)
class PairedScores(Scores):
    """What one action of a nearly symmetric pair is taken for."""

    updates: Annotated[int, Score("updates", doc="while it is true", format="d")]
    right: Annotated[float | None, Score("right", "%", "told as itself")]
    partner: Annotated[float | None, Score("partner", "%", "told as its partner")]
    other: Annotated[float | None, Score("other", "%", "told as anything else")]


@dataclass(frozen=True)
class UpdateScores(Scores):
    """Every update counts once."""

    labelled_updates: Annotated[int, Score("updates", doc="with a known truth", format="d")]
    labelled_seconds: Annotated[float | None, Score("labelled time", "s", "with a known truth")]
    accuracy: Annotated[float | None, Score("accuracy", "%", "updates with the true label")]
    symmetric: Annotated[
        float | None,
        Score("nearly symmetric", "%", "accuracy while an action of a nearly symmetric pair is true"),
    ]
    non_symmetric: Annotated[float | None, Score("other", "%", "accuracy while any other label is true")]
    onsets: Annotated[OnsetScores, Score("onsets")]
    pairs: Mapping[str, Mapping[str, PairedScores] | None]
    """By the pair's name, "a / b", and label; None where neither occurs. Drawn, not tabled."""


def validate(updates: Iterable[Update]) -> None:
    """Check that updates can be scored together.

    Raises:
        ValueError: they are of several tasks.
    """
    tasks = sorted({update.task for update in updates})
    if len(tasks) > 1:
        raise ValueError(f"updates of one task are scored at a time, got those of {', '.join(tasks)}")


def accuracy(updates: Iterable[Update], truth: TruthTimeline) -> float:
    """Share of the updates with the label that is true at their stamp, over labelled time.

    Args:
        updates: of the truth's task.
        truth: of the same clock as the stamps.

    Returns:
        In [0, 1]; NaN if no update falls into labelled time.
    """
    return share(update.label == label for update, label in labelled(updates, truth))


def pair_accuracy(updates: Iterable[Update], truth: TruthTimeline, pairs: Iterable[tuple[str, str]]) -> float:
    """The accuracy over those updates whose true label belongs to a nearly symmetric pair.

    Args:
        updates: of the truth's task.
        truth: of the same clock as the stamps.
        pairs: labels that are each other played backwards.

    Returns:
        In [0, 1]; NaN if there are no such updates.
    """
    paired = {label for pair in pairs for label in pair}
    return share(update.label == label for update, label in labelled(updates, truth) if label in paired)


def onsets(updates: Iterable[Update], truth: TruthTimeline, ignored: Collection[str] = ()) -> Onsets:
    """Look for the first update that agrees with each change of the truth, before the next change.

    Args:
        updates: of the truth's task.
        truth: of the same clock as the stamps.
        ignored: labels whose onsets do not count, such as the idle label.
    """
    in_order = sorted(updates, key=lambda update: update.received_ns)
    delays: list[float] = []
    missed = 0
    ends_ns = [change.onset_ns for change in truth.changes[1:]]
    for change, end_ns in zip_longest(truth.changes, ends_ns):  # the last one has no end
        if change.label == UNLABELLED or change.label in ignored:
            continue
        noticed = (
            update.received_ns
            for update in in_order
            if update.label == change.label
            and change.onset_ns <= update.stamp_ns
            and (end_ns is None or update.stamp_ns < end_ns)
        )
        received_ns = next(noticed, None)
        if received_ns is None:
            missed += 1
        else:
            delays.append((received_ns - change.onset_ns) / 1e9)
    return Onsets(tuple(delays), missed)


def pair_confusion(
    updates: Iterable[Update], truth: TruthTimeline, pair: tuple[str, str]
) -> dict[str, PairedScores] | None:
    """What each of two partners is taken for, while it is true; None where neither occurs."""
    told = {own: [update.label for update, label in labelled(updates, truth) if label == own] for own in pair}
    if not any(told.values()):
        return None
    return {
        own: PairedScores(
            updates=len(told[own]),
            right=none_if_nan(share(label == own for label in told[own])),
            partner=none_if_nan(share(label == partner for label in told[own])),
            other=none_if_nan(share(label not in pair for label in told[own])),
        )
        for own, partner in (pair, pair[::-1])
    }


def onset_scores(
    updates: Iterable[Update], truth: TruthTimeline, ignored: Collection[str] = ()
) -> OnsetScores:
    """The scores of `onsets`."""
    found = onsets(updates, truth, ignored)
    return OnsetScores(found.count, none_if_nan(found.detected), none_if_nan(found.median_s))


def latencies_ms(updates: Iterable[Update]) -> list[float]:
    """From the newest frame's stamp to the receipt of the label, of each update, in milliseconds."""
    return [(update.received_ns - update.stamp_ns) / 1e6 for update in updates]


def rate_hz(times_ns: Sequence[int]) -> float:
    """Events a second between the first and the last; NaN of fewer than two."""
    span_ns = max(times_ns) - min(times_ns) if times_ns else 0
    return (len(times_ns) - 1) / (span_ns / 1e9) if span_ns else math.nan


def labelled(updates: Iterable[Update], truth: TruthTimeline) -> list[tuple[Update, str]]:
    """The updates that can be scored, each with what is true at its stamp."""
    pairs = ((update, truth.at(update.stamp_ns)) for update in updates)
    return [(update, label) for update, label in pairs if label != UNLABELLED]


def share(outcomes: Iterable[bool]) -> float:
    """Of how many something is so, in [0, 1]; NaN of none."""
    outcomes = list(outcomes)
    return sum(outcomes) / len(outcomes) if outcomes else math.nan


def evaluate(
    updates: Sequence[Update],
    truth: TruthTimeline,
    pairs: Sequence[tuple[str, str]] = (),
    *,
    idle: Collection[str] = (),
    span_ns: tuple[int, int],
) -> UpdateScores:
    """All scores of one task's updates.

    Args:
        updates: of the truth's task.
        truth: of the same clock as the stamps.
        pairs: labels that are each other played backwards.
        idle: labels whose onsets do not count.
        span_ns: the first and the last stamp that count as labelled time.

    Raises:
        ValueError: the updates are of several tasks.
    """
    validate(updates)
    scored = labelled(updates, truth)
    paired = {label for pair in pairs for label in pair}
    return UpdateScores(
        labelled_updates=len(scored),
        labelled_seconds=truth.labelled_ns(*span_ns) / 1e9,
        accuracy=none_if_nan(accuracy(updates, truth)),
        symmetric=none_if_nan(pair_accuracy(updates, truth, pairs)),
        non_symmetric=none_if_nan(share(u.label == label for u, label in scored if label not in paired)),
        onsets=onset_scores(updates, truth, idle),
        pairs={f"{a} / {b}": pair_confusion(updates, truth, (a, b)) for a, b in pairs},
    )
