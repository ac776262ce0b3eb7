"""How calm were live labels? What a planner suffers from that no accuracy shows.

Conventions: labels are one an update, beside the updates' stamps; the empty label, that nothing is known,
is one of its own. Counts are a minute of labelled time, and NaN if there is none.
"""

from __future__ import annotations

import math
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from typing import Annotated

from step_ros.scores.score import Score, Scores, none_if_nan
from step_ros.scores.timeline import UNLABELLED, TruthTimeline
from step_ros.scores.updates import OnsetScores, share

_MINUTE_NS = 60_000_000_000


@dataclass(frozen=True)
class StableScores(Scores):
    """Of the filtered label."""

    accuracy: Annotated[float | None, Score("right", "%", "of the updates with a stable label")]
    coverage: Annotated[float | None, Score("coverage", "%", "updates at which there is a stable label")]
    held: Annotated[float | None, Score("held", "%", "of the updates of actions: the stable label is theirs")]
    onsets: Annotated[OnsetScores, Score("onsets", doc="of the stable label")]
    flips_per_minute: Annotated[
        float | None, Score("flips", "1/min", "changes of the stable label while the truth stays")
    ]
    turns_per_minute: Annotated[
        float | None, Score("turns", "1/min", "from one action to another while the truth stays")
    ]
    false_starts_per_minute: Annotated[
        float | None, Score("false starts", "1/min", "stable labels that never were true while they held")
    ]


@dataclass(frozen=True)
class StabilityScores(Scores):
    """Of the likeliest label of each update, and of the stable one."""

    flips_per_minute: Annotated[
        float | None, Score("flips", "1/min", "changes of the label while the truth stays")
    ]
    stable: Annotated[StableScores, Score("stable")]


def validate(labels: Sequence[str], stamps_ns: Sequence[int]) -> None:
    """Check that each label has its stamp.

    Raises:
        ValueError: the lengths differ.
    """
    if len(labels) != len(stamps_ns):
        raise ValueError(f"a stamp a label is needed, got {len(labels)} labels and {len(stamps_ns)} stamps")


def flips_per_minute(
    labels: Sequence[str],
    stamps_ns: Sequence[int],
    truth: TruthTimeline,
    last_ns: int,
    ignored: Collection[str] = (),
) -> float:
    """Changes of the label from one update to the next that no change of the truth lies between.

    Args:
        labels: one an update; the empty label is one of its own.
        stamps_ns: the updates' stamps, ascending.
        truth: of the same task.
        last_ns: when the truth's last label ends.
        ignored: labels from and to which a change does not count, such as the idle label.

    Raises:
        ValueError: there are not as many stamps as labels.
    """
    validate(labels, stamps_ns)
    flips = sum(
        before != after
        and not {before, after} & set(ignored)
        and truth.at(begin_ns) == truth.at(end_ns) != UNLABELLED
        for before, after, begin_ns, end_ns in zip(labels, labels[1:], stamps_ns, stamps_ns[1:], strict=False)
    )
    return _a_minute(flips, truth.labelled_ns(stamps_ns[0], last_ns) if stamps_ns else 0)


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
    """
    true_segments = truth.segments(last_ns)
    false = 0
    for segment in stable.segments(last_ns):
        beside = [t for t in true_segments if t.start_ns < segment.end_ns and segment.start_ns < t.end_ns]
        if segment.label not in ignored and beside and all(t.label != segment.label for t in beside):
            false += 1
    return _a_minute(false, truth.labelled_ns(first_ns, last_ns))


def _a_minute(count: int, duration_ns: int) -> float:
    return count / (duration_ns / _MINUTE_NS) if duration_ns > 0 else math.nan


def evaluate(
    labels: Sequence[str],
    announced: Sequence[str],
    stamps_ns: Sequence[int],
    stable: TruthTimeline,
    truth: TruthTimeline,
    onsets: OnsetScores,
    *,
    idle: Collection[str] = (),
    span_ns: tuple[int, int],
) -> StabilityScores:
    """All scores of calm.

    Args:
        labels: the likeliest label of each update.
        announced: the stable label that was known at each update; empty while none held.
        stamps_ns: the updates' stamps, ascending.
        stable: the stable label over time, from its onsets on.
        truth: of the same task.
        onsets: of the announced labels.
        idle: labels that start nothing.
        span_ns: the first and the last stamp that count.

    Raises:
        ValueError: there are not as many stamps as labels.
    """
    validate(announced, stamps_ns)
    first_ns, last_ns = span_ns
    true = [truth.at(stamp_ns) for stamp_ns in stamps_ns]
    scored = [(said, label) for said, label in zip(announced, true, strict=True) if label != UNLABELLED]
    return StabilityScores(
        flips_per_minute=none_if_nan(flips_per_minute(labels, stamps_ns, truth, last_ns)),
        stable=StableScores(
            accuracy=none_if_nan(share(said == label for said, label in scored if said != UNLABELLED)),
            coverage=none_if_nan(share(said != UNLABELLED for said, _ in scored)),
            held=none_if_nan(share(said == label for said, label in scored if label not in idle)),
            onsets=onsets,
            turns_per_minute=none_if_nan(
                flips_per_minute(announced, stamps_ns, truth, last_ns, [*idle, UNLABELLED])
            ),
            flips_per_minute=none_if_nan(flips_per_minute(announced, stamps_ns, truth, last_ns)),
            false_starts_per_minute=none_if_nan(
                false_starts_per_minute(stable, truth, first_ns, last_ns, idle)
            ),
        ),
    )
