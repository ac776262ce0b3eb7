"""Which causes are there now, since when, and which of them explains most of the labels that are missing?"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping
from dataclasses import dataclass, replace
from itertools import pairwise

from step_ros.ros.node.causes import (
    BROUGHT_ABOUT,
    ENOUGH_RECEIVED,
    Cause,
    Evidence,
    Kind,
    Level,
    Limits,
    counted,
    level_of,
    present,
)
from step_ros.ros.node.sentences import sentence_of
from step_ros.ros.node.snapshot import Snapshot

NOW_SECONDS = 1.0
"""Labels that are missing now are those of that time, or of the time between two snapshots if longer."""

EVIDENCE_PERIODS = 5
"""What was counted expires after so many periods of diagnostics."""


@dataclass(frozen=True)
class Diagnosis:
    """What is said of a camera."""

    level: Level
    """ERROR if no labels go out, or soon none will."""
    message: str
    """Every cause in a sentence, the first one first."""
    causes: tuple[Cause, ...]
    """By how many of the labels that are missing now each explains; what brings others about before those."""


class Diagnoser:
    """Judges a camera by snapshots of it.

    A cause that is a state, such as an engine being replaced, is there for as long as it is so. One that is
    counted, such as frames dropped, is there until `span_s` has passed with none of it. Which comes first is
    decided by the labels that are missing now.

    Args:
        topic: of the images.
        span_s: seconds after which what was counted expires.
    """

    def __init__(self, topic: str, span_s: float) -> None:
        self._topic = topic
        self._span_s = span_s
        self._snapshots: list[Snapshot] = []
        self._started: dict[Kind, float] = {}

    def forget(self) -> None:
        """Begin anew: what was before says nothing of what comes."""
        self._snapshots.clear()
        self._started.clear()

    @property
    def oldest(self) -> Snapshot | None:
        """The oldest snapshot that counts; None before the first."""
        return self._snapshots[0] if self._snapshots else None

    def diagnose(self, now: Snapshot, limits: Limits) -> Diagnosis:
        """What is wrong at a snapshot, which is later than the one before."""
        self._snapshots.append(now)
        while len(self._snapshots) > 2 and now.seconds - self._snapshots[1].seconds >= self._span_s:
            self._snapshots.pop(0)
        causes = self._causes(now, limits)
        self._started = {cause.kind: cause.start_s for cause in causes}
        if now.labels == "stale":
            why = "; ".join(cause.sentence for cause in causes) or f"there was none for {now.silence_s:.1f} s"
            return Diagnosis(Level.ERROR, f"no labels go out: {why}", causes)
        if causes:
            level = max(cause.level for cause in causes)
            worst_first = sorted(causes, key=lambda cause: -cause.level)
            return Diagnosis(level, "; ".join(cause.sentence for cause in worst_first), causes)
        good = "filling the first window" if now.labels == "waiting" else "labels are going out"
        return Diagnosis(Level.OK, good, ())

    def _causes(self, now: Snapshot, limits: Limits) -> tuple[Cause, ...]:
        before = self._snapshots[0]
        lately = next(
            (each for each in reversed(self._snapshots) if now.seconds - each.seconds >= NOW_SECONDS), before
        )
        states, counts = present(before, lately, now, limits), counted(before, now)
        if now.frames.received - before.frames.received >= ENOUGH_RECEIVED * _published(before, now):
            counts.pop(Kind.LOST, None)
        missing = _missing(lately, now, states)
        if missing.get(Kind.GAPS):
            states[Kind.GAPS] = 0.0
        causes = []
        for kind in sorted({*states, *counts}, key=lambda kind: (-missing[kind], _ORDER.index(kind))):
            first, last = self._when(kind, now)
            if kind in states:
                first, last = min(first, now.seconds - states[kind]), now.seconds
            causes.append(
                Cause(
                    kind,
                    level_of(kind, before, now),
                    sentence_of(kind, self._topic, before, now, limits),
                    self._started.get(kind, first),
                    last,
                    replace(counts.get(kind, Evidence(0)), missing=missing[kind]),
                )
            )
        return tuple(causes)

    def _when(self, kind: Kind, now: Snapshot) -> tuple[float, float]:
        """When the first and the newest evidence that has not expired was counted; now if none has been."""
        pairs = [pair for pair in pairwise(self._snapshots) if kind in counted(*pair)]
        return (pairs[0][0].seconds, pairs[-1][1].seconds) if pairs else (now.seconds, now.seconds)


_ORDER = list(Kind)


def _missing(lately: Snapshot, now: Snapshot, states: Mapping[Kind, float]) -> dict[Kind, float]:
    """How many of the updates that are missing now each cause explains; gaps, what no other does."""
    seconds = now.seconds - lately.seconds
    due = seconds / now.step_s
    missing: dict[Kind, float] = defaultdict(float)
    for kind, evidence in counted(lately, now).items():
        missing[kind] = evidence.missing
    for kind in {Kind.HANGING, Kind.NO_IMAGE} & set(states):
        missing[kind] = min(states[kind], seconds) / now.step_s
    unexplained = due - sum(missing.values())
    if now.labels == "stale" and unexplained > max(missing.values(), default=0) and Kind.STUCK not in states:
        missing[Kind.GAPS] = unexplained
    for kind, others in BROUGHT_ABOUT.items():
        missing[kind] += sum(missing[other] for other in others)
    if Kind.STUCK in states:
        missing[Kind.STUCK] = due
    return missing


def _published(before: Snapshot, now: Snapshot) -> int:
    """How many images were, as far as is known."""
    return now.frames.received - before.frames.received + now.lost - before.lost
