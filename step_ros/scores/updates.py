"""How good were labels that came live? Scores of updates against a truth that changes over time."""

from __future__ import annotations

import bisect
import math
import statistics
from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass

UNLABELLED = ""
"""The label of a time of which nobody knows what happened; it is not scored."""


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
class TruthChange:
    """From when on which label is true."""

    onset_ns: int
    """When it begins; it holds until the next change."""
    label: str
    """The true label, or `UNLABELLED`."""


@dataclass(frozen=True)
class Segment:
    """A stretch of time with one label."""

    label: str
    """Its label."""
    start_ns: int
    """When it begins."""
    end_ns: int
    """When it ends; after `start_ns`."""


class TruthTimeline:
    """The truth of one task over time.

    Args:
        changes: in any order. Of two with the same onset the later one in the sequence holds; a change to
            the label that holds already is none.

    Example:
        >>> truth = TruthTimeline([TruthChange(10, "open"), TruthChange(30, "idle")])
        >>> truth.at(29), truth.at(30), truth.at(9)
        ('open', 'idle', '')
    """

    def __init__(self, changes: Iterable[TruthChange]) -> None:
        self.changes: list[TruthChange] = []
        """In the order of time, each to another label than the one before."""
        by_onset = {change.onset_ns: change for change in changes}
        for onset_ns in sorted(by_onset):
            if not self.changes or by_onset[onset_ns].label != self.changes[-1].label:
                self.changes.append(by_onset[onset_ns])
        self._onsets = [change.onset_ns for change in self.changes]

    def at(self, stamp_ns: int) -> str:
        """The true label at a time; `UNLABELLED` before the first."""
        index = bisect.bisect_right(self._onsets, stamp_ns) - 1
        return self.changes[index].label if index >= 0 else UNLABELLED

    def overlaps(self, first_ns: int, last_ns: int) -> bool:
        """Whether any label is known between two times, both included."""
        return self.at(first_ns) != UNLABELLED or any(
            first_ns <= change.onset_ns <= last_ns and change.label != UNLABELLED for change in self.changes
        )

    def segments(self, end_ns: int) -> list[Segment]:
        """The stretches of known labels, in the order of time; the last change holds until `end_ns`."""
        ends = [*self._onsets[1:], max(end_ns, self._onsets[-1])] if self._onsets else []
        return [
            Segment(change.label, change.onset_ns, stop_ns)
            for change, stop_ns in zip(self.changes, ends, strict=True)
            if change.label != UNLABELLED and change.onset_ns < stop_ns
        ]


def accuracy(updates: Iterable[Update], truth: TruthTimeline) -> float:
    """Share of the updates with the label that is true at their stamp, over labelled time.

    Args:
        updates: of the truth's task.
        truth: of the same clock as the stamps.

    Returns:
        In [0, 1]; NaN if no update falls into labelled time.
    """
    return _share(update.label == label for update, label in _labelled(updates, truth))


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
    return _share(update.label == label for update, label in _labelled(updates, truth) if label in paired)


@dataclass(frozen=True)
class Onsets:
    """How soon the beginnings of actions were noticed."""

    delays_s: tuple[float, ...]
    """Of each that was noticed: from its onset to the receipt of the first update that says so, seconds."""
    missed: int
    """How many were over before any update said so."""

    @property
    def median_s(self) -> float:
        """Median delay in seconds; NaN if none was noticed."""
        return statistics.median(self.delays_s) if self.delays_s else math.nan

    @property
    def detected(self) -> float:
        """Share that was noticed; NaN if there were none."""
        return _share([True] * len(self.delays_s) + [False] * self.missed)

    def __add__(self, other: Onsets) -> Onsets:
        """Both together."""
        return Onsets(self.delays_s + other.delays_s, self.missed + other.missed)


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
    ends_ns = [change.onset_ns for change in truth.changes[1:]] + [None]
    for change, end_ns in zip(truth.changes, ends_ns, strict=True):
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


def latencies_ms(updates: Iterable[Update]) -> list[float]:
    """From the newest frame's stamp to the receipt of the label, of each update, in milliseconds."""
    return [(update.received_ns - update.stamp_ns) / 1e6 for update in updates]


def percentile(values: Sequence[float], percent: float) -> float:
    """The value below which `percent` of all lie, interpolated; NaN of none.

    Raises:
        ValueError: `percent` is not in [0, 100].
    """
    if not 0 <= percent <= 100:
        raise ValueError(f"percent must lie in [0, 100], got {percent}")
    if not values:
        return math.nan
    ordered = sorted(values)
    position = (len(ordered) - 1) * percent / 100
    below = math.floor(position)
    above = min(below + 1, len(ordered) - 1)
    return ordered[below] + (ordered[above] - ordered[below]) * (position - below)


def rate_hz(times_ns: Sequence[int]) -> float:
    """Events a second between the first and the last; NaN of fewer than two."""
    span_ns = max(times_ns) - min(times_ns) if times_ns else 0
    return (len(times_ns) - 1) / (span_ns / 1e9) if span_ns else math.nan


def _labelled(updates: Iterable[Update], truth: TruthTimeline) -> Iterable[tuple[Update, str]]:
    """The updates that can be scored, each with what is true at its stamp."""
    pairs = ((update, truth.at(update.stamp_ns)) for update in updates)
    return ((update, label) for update, label in pairs if label != UNLABELLED)


def _share(outcomes: Iterable[bool]) -> float:
    outcomes = list(outcomes)
    return sum(outcomes) / len(outcomes) if outcomes else math.nan
