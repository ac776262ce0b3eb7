"""How calm were live labels? What a planner suffers from that no accuracy shows."""

from __future__ import annotations

import math
from collections.abc import Collection, Sequence

from step_ros.scores.updates import UNLABELLED, TruthTimeline

_MINUTE_NS = 60_000_000_000


def labelled_ns(truth: TruthTimeline, first_ns: int, last_ns: int) -> int:
    """How much of the time between two stamps has a known label, in nanoseconds."""
    return sum(
        max(0, min(segment.end_ns, last_ns) - max(segment.start_ns, first_ns))
        for segment in truth.segments(last_ns)
    )


def flips_per_minute(
    labels: Sequence[str], stamps_ns: Sequence[int], truth: TruthTimeline, last_ns: int
) -> float:
    """Changes of the label from one update to the next that no change of the truth lies between.

    Args:
        labels: one an update; the empty label is one of its own.
        stamps_ns: the updates' stamps, ascending.
        truth: of the same task.
        last_ns: when the truth's last label ends.

    Returns:
        A minute of labelled time; NaN if there is none.
    """
    flips = sum(
        before != after and truth.at(begin_ns) == truth.at(end_ns) != UNLABELLED
        for before, after, begin_ns, end_ns in zip(labels, labels[1:], stamps_ns, stamps_ns[1:], strict=False)
    )
    return _a_minute(flips, labelled_ns(truth, stamps_ns[0], last_ns) if stamps_ns else 0)


def false_starts_per_minute(
    stable: TruthTimeline, truth: TruthTimeline, first_ns: int, last_ns: int, ignored: Collection[str] = ()
) -> float:
    """Stable labels that were true at no time while they held.

    Args:
        stable: the stable label over time.
        truth: of the same task.
        first_ns: the first stamp that counts.
        last_ns: the last.
        ignored: labels that start nothing, such as the idle label.

    Returns:
        A minute of labelled time; NaN if there is none.
    """
    true_segments = truth.segments(last_ns)
    false = 0
    for segment in stable.segments(last_ns):
        beside = [t for t in true_segments if t.start_ns < segment.end_ns and segment.start_ns < t.end_ns]
        if segment.label not in ignored and beside and all(t.label != segment.label for t in beside):
            false += 1
    return _a_minute(false, labelled_ns(truth, first_ns, last_ns))


def _a_minute(count: int, duration_ns: int) -> float:
    return count / (duration_ns / _MINUTE_NS) if duration_ns > 0 else math.nan
