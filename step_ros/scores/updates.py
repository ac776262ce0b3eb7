"""How good were labels that came live? Scores of updates against a truth that changes over time.

Conventions: updates and truth are of one task and clock; labels of a pair are each other played backwards;
onsets of idle labels do not count. An update is judged by what is true at its stamp; one that falls into
unlabelled time does not count. Scores are None where there is nothing to count.
"""

from __future__ import annotations

import math
import statistics
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Annotated

from step_ros.scores.score import Score, Scores, Value, share
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
class OnsetScores(Scores):
    """How soon the beginnings of actions were noticed."""

    count: Annotated[int, Score("number", doc="beginnings of actions, idle not among them", format="d")]
    detected: Annotated[Value, Score("found", "%", "noticed before the action was over")]
    delay_s: Annotated[
        Value, Score("delay", "s", "median, from the onset to the first update that says so", ".2f")
    ]


@dataclass(frozen=True)
class PairedScores(Scores):
    """What one action of a nearly symmetric pair is taken for."""

    updates: Annotated[int, Score("updates", doc="while it is true", format="d")]
    right: Annotated[Value, Score("right", "%", "told as itself")]
    partner: Annotated[Value, Score("partner", "%", "told as its partner")]
    other: Annotated[Value, Score("other", "%", "told as anything else")]


@dataclass(frozen=True)
class UpdateScores(Scores):
    """Every update counts once."""

    labelled_updates: Annotated[int, Score("updates", doc="with a known truth", format="d")]
    labelled_seconds: Annotated[Value, Score("labelled time", "s", "with a known truth")]
    accuracy: Annotated[Value, Score("accuracy", "%", "updates with the true label")]
    symmetric: Annotated[
        Value, Score("nearly symmetric", "%", "accuracy while an action of a nearly symmetric pair is true")
    ]
    non_symmetric: Annotated[Value, Score("other", "%", "accuracy while any other label is true")]
    onsets: Annotated[OnsetScores, Score("onsets")]
    pairs: Mapping[str, Mapping[str, PairedScores] | None]
    """By the pair's name, "a / b", and label; None where neither occurs. Drawn, not tabled."""


def labelled(updates: Iterable[Update], truth: TruthTimeline) -> list[tuple[str, str]]:
    """What the updates of labelled time say, each with what is true at its stamp."""
    pairs = ((update.label, truth.at(update.stamp_ns)) for update in updates)
    return [(said, label) for said, label in pairs if label != UNLABELLED]


def onset_delays_s(
    updates: Iterable[Update], truth: TruthTimeline, ignored: Collection[str] = ()
) -> list[float | None]:
    """Of each change of the truth the seconds to the receipt of the first update that says so.

    None stands where none did before the next change. Changes to a label that is `ignored`, such as the
    idle label, do not count.
    """
    in_order = sorted(updates, key=lambda update: update.received_ns)
    delays: list[float | None] = []
    ends_ns = [*(change.onset_ns for change in truth.changes[1:]), math.inf]
    for change, end_ns in zip(truth.changes, ends_ns, strict=False):
        if change.label == UNLABELLED or change.label in ignored:
            continue
        said_ns = (
            update.received_ns
            for update in in_order
            if update.label == change.label and change.onset_ns <= update.stamp_ns < end_ns
        )
        delays.append(next(((ns - change.onset_ns) / 1e9 for ns in said_ns), None))
    return delays


def onset_scores(delays_s: Sequence[float | None]) -> OnsetScores:
    """The scores of what `onset_delays_s` found."""
    noticed = [delay for delay in delays_s if delay is not None]
    return OnsetScores(
        count=len(delays_s),
        detected=share(delay is not None for delay in delays_s),
        delay_s=statistics.median(noticed) if noticed else None,
    )


def pair_confusion(
    scored: Sequence[tuple[str, str]], pair: tuple[str, str]
) -> dict[str, PairedScores] | None:
    """What each of two partners is taken for, of what `labelled` found; None where neither is ever true."""
    told = {own: [said for said, label in scored if label == own] for own in pair}
    if not any(told.values()):
        return None
    return {
        own: PairedScores(
            updates=len(told[own]),
            right=share(label == own for label in told[own]),
            partner=share(label == partner for label in told[own]),
            other=share(label not in pair for label in told[own]),
        )
        for own, partner in (pair, pair[::-1])
    }


def latencies_ms(updates: Iterable[Update]) -> list[float]:
    """From the newest frame's stamp to the receipt of the label, of each update, in milliseconds."""
    return [(update.received_ns - update.stamp_ns) / 1e6 for update in updates]


def rate_hz(times_ns: Sequence[int]) -> float | None:
    """Events a second between the first and the last; None of fewer than two."""
    span_ns = max(times_ns) - min(times_ns) if times_ns else 0
    return (len(times_ns) - 1) / (span_ns / 1e9) if span_ns else None


def evaluate(
    updates: Sequence[Update],
    truth: TruthTimeline,
    pairs: Sequence[tuple[str, str]] = (),
    *,
    idle: Collection[str] = (),
    span_ns: tuple[int, int],
) -> UpdateScores:
    """All scores of one task's updates; time is labelled from the first to the last stamp of `span_ns`.

    Raises:
        ValueError: the updates are of several tasks.
    """
    tasks = sorted({update.task for update in updates})
    if len(tasks) > 1:
        raise ValueError(f"updates of one task are scored at a time, got those of {', '.join(tasks)}")
    scored = labelled(updates, truth)
    paired = {label for pair in pairs for label in pair}
    return UpdateScores(
        labelled_updates=len(scored),
        labelled_seconds=truth.labelled_ns(*span_ns) / 1e9,
        accuracy=share(said == label for said, label in scored),
        symmetric=share(said == label for said, label in scored if label in paired),
        non_symmetric=share(said == label for said, label in scored if label not in paired),
        onsets=onset_scores(onset_delays_s(updates, truth, idle)),
        pairs={f"{a} / {b}": pair_confusion(scored, (a, b)) for a, b in pairs},
    )
