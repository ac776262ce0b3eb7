"""How calm were live labels? What a planner suffers from that no accuracy shows.

Conventions: labels are one an update, beside the updates' ascending stamps; the empty label, that nothing is
known, is one of its own. Counts are a minute of labelled time, and None if there is none.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from typing import Annotated

from step_ros.scores.score import Score, Scores, Value, share
from step_ros.scores.timeline import UNLABELLED, TruthTimeline
from step_ros.scores.updates import OnsetScores

_MINUTE_NS = 60_000_000_000


@dataclass(frozen=True)
class StableScores(Scores):
    """How right and how steady the filtered label is."""

    accuracy: Annotated[Value, Score("right", "%", "of the updates with a stable label")]
    coverage: Annotated[Value, Score("coverage", "%", "updates at which there is a stable label")]
    held: Annotated[Value, Score("held", "%", "of the updates of actions: the stable label is theirs")]
    onsets: Annotated[OnsetScores, Score("onsets", doc="of the stable label")]
    flips_per_minute: Annotated[
        Value, Score("flips", "1/min", "changes of the stable label while the truth stays")
    ]
    turns_per_minute: Annotated[
        Value, Score("turns", "1/min", "from one action to another while the truth stays")
    ]
    false_starts_per_minute: Annotated[
        Value, Score("false starts", "1/min", "stable labels that never were true while they held")
    ]


@dataclass(frozen=True)
class StabilityScores(Scores):
    """Of the likeliest label of each update, and of the stable one."""

    flips_per_minute: Annotated[Value, Score("flips", "1/min", "changes of the label while the truth stays")]
    stable: Annotated[StableScores, Score("stable")]


def flips_per_minute(
    labels: Sequence[str],
    stamps_ns: Sequence[int],
    truth: TruthTimeline,
    last_ns: int,
    ignored: Collection[str] = (),
) -> float | None:
    """Changes of the label from one update to the next that no change of the truth lies between.

    Those from and to a label that is `ignored`, such as the idle label, do not count; the truth's last label
    ends at `last_ns`.

    Raises:
        ValueError: there are not as many stamps as labels.
    """
    if len(labels) != len(stamps_ns):
        raise ValueError(f"a stamp a label is needed, got {len(labels)} labels and {len(stamps_ns)} stamps")
    flips = sum(
        before != after
        and not {before, after} & set(ignored)
        and truth.at(begin_ns) == truth.at(end_ns) != UNLABELLED
        for before, after, begin_ns, end_ns in zip(labels, labels[1:], stamps_ns, stamps_ns[1:], strict=False)
    )
    return _a_minute(flips, truth.labelled_ns(stamps_ns[0], last_ns) if stamps_ns else 0)


def false_starts_per_minute(
    stable: TruthTimeline, truth: TruthTimeline, first_ns: int, last_ns: int, ignored: Collection[str] = ()
) -> float | None:
    """Stable labels, from `first_ns` to `last_ns`, that were true at no time while they held.

    Those that are `ignored`, such as the idle label, start nothing.
    """
    true_segments = truth.segments(last_ns)
    false = 0
    for segment in stable.segments(last_ns):
        beside = [t for t in true_segments if t.start_ns < segment.end_ns and segment.start_ns < t.end_ns]
        if segment.label not in ignored and beside and all(t.label != segment.label for t in beside):
            false += 1
    return _a_minute(false, truth.labelled_ns(first_ns, last_ns))


def _a_minute(count: int, duration_ns: int) -> float | None:
    return count / (duration_ns / _MINUTE_NS) if duration_ns > 0 else None


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
    first_ns, last_ns = span_ns
    turns = flips_per_minute(announced, stamps_ns, truth, last_ns, [*idle, UNLABELLED])
    true = [truth.at(stamp_ns) for stamp_ns in stamps_ns]
    scored = [(said, label) for said, label in zip(announced, true, strict=True) if label != UNLABELLED]
    return StabilityScores(
        flips_per_minute=flips_per_minute(labels, stamps_ns, truth, last_ns),
        stable=StableScores(
            accuracy=share(said == label for said, label in scored if said != UNLABELLED),
            coverage=share(said != UNLABELLED for said, _ in scored),
            held=share(said == label for said, label in scored if label not in idle),
            onsets=onsets,
            turns_per_minute=turns,
            flips_per_minute=flips_per_minute(announced, stamps_ns, truth, last_ns),
            false_starts_per_minute=false_starts_per_minute(stable, truth, first_ns, last_ns, idle),
        ),
    )
