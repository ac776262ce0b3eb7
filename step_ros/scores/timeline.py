"""What is true, or holds, from when to when: labels over time.

Conventions: times are integer nanoseconds of one clock. A label holds from its onset to the next one's, so
a stretch contains its start and not its end. `UNLABELLED` is the label of a time of which nobody knows.
"""

from __future__ import annotations

import bisect
from collections.abc import Iterable
from dataclasses import dataclass
from typing import NamedTuple

UNLABELLED = ""
"""The label of a time of which nobody knows what happened; it is not scored."""


class TruthChange(NamedTuple):
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
        changes: onsets and labels, in any order. Of two with the same onset the later one in the sequence
            holds; a change to the label that holds already is none.

    Example:
        >>> truth = TruthTimeline([(10, "open"), (30, "idle")])
        >>> truth.at(29), truth.at(30), truth.at(9)
        ('open', 'idle', '')
    """

    def __init__(self, changes: Iterable[tuple[int, str]]) -> None:
        self.changes: list[TruthChange] = []
        """In the order of time, each to another label than the one before."""
        for onset_ns, label in sorted(dict(changes).items()):
            if not self.changes or label != self.changes[-1].label:
                self.changes.append(TruthChange(onset_ns, label))
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

    def labelled_ns(self, first_ns: int, last_ns: int) -> int:
        """How much of the time between two stamps has a known label, in nanoseconds."""
        return sum(
            max(0, min(segment.end_ns, last_ns) - max(segment.start_ns, first_ns))
            for segment in self.segments(last_ns)
        )
