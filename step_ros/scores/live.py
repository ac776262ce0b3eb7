"""Everything that a live run or a replay is scored by, for one task.

Conventions: those of the files that each compute a part: `updates`, `probabilities`, `segments` (each
update of labelled time is a frame), `stability`, and `clips` of the true segments' middle windows.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Annotated

import numpy as np

from step_ros.scores import probabilities as probability_scores
from step_ros.scores import segments, stability, updates
from step_ros.scores.clips import ClipScores
from step_ros.scores.probabilities import Floats, ProbabilityScores
from step_ros.scores.score import Score
from step_ros.scores.segments import SegmentScores
from step_ros.scores.stability import StabilityScores
from step_ros.scores.timeline import TruthTimeline
from step_ros.scores.updates import Update, UpdateScores


# A dataclass orders fields from its last base to its first.
@dataclass(frozen=True)
class LiveScores(StabilityScores, SegmentScores, ProbabilityScores, UpdateScores):
    """Of one task; None where there is nothing to count."""

    clips: Annotated[ClipScores | None, Score("clips")]
    """Of the middle window of each true segment; None where nobody looked at them."""


@dataclass(frozen=True, eq=False)
class LiveAnswers:
    """What was said of one task."""

    updates: Sequence[Update]
    """N, in the order of time."""
    probabilities: Sequence[Floats]
    """Of each of them (K,); NaN where one is not known."""
    announced: Sequence[str]
    """The stable label that was known at each of them; empty while none held."""
    stable: TruthTimeline
    """The stable label over time, from its onsets on."""


def evaluate(
    said: LiveAnswers,
    truth: TruthTimeline,
    labels: Sequence[str],
    pairs: Sequence[tuple[str, str]] = (),
    *,
    idle_label: str | None = None,
    span_ns: tuple[int, int],
    clips: ClipScores | None = None,
) -> LiveScores:
    """All scores of one task.

    Args:
        said: what was said.
        truth: of the same task and clock.
        labels: the K labels.
        pairs: labels that are each other played backwards.
        idle_label: the label that means that nothing happens.
        span_ns: the first and the last stamp of the recording.
        clips: what was found clip by clip.

    Raises:
        ValueError: there are not as many stable labels or probabilities as updates, or not K of the latter.
    """
    counts = (len(said.updates), len(said.probabilities), len(said.announced))
    if len(set(counts)) > 1:
        raise ValueError(f"as many updates as probabilities and stable labels are needed, got {counts}")
    wrong = {p.shape for p in said.probabilities} - {(len(labels),)}
    if wrong:
        raise ValueError(f"probabilities of {len(labels)} labels are needed, got {sorted(wrong)}")
    idle = [idle_label] if idle_label else []
    index = {label: i for i, label in enumerate(labels)}
    scored = updates.labelled(said.updates, truth)
    stamps_ns = [update.stamp_ns for update in said.updates]
    true = [truth.at(stamp_ns) for stamp_ns in stamps_ns]
    as_announced = [
        replace(update, label=label) for update, label in zip(said.updates, said.announced, strict=True)
    ]
    known = [i for i, label in enumerate(true) if label in index]  # a head may not have the true label
    return LiveScores(
        **vars(updates.evaluate(said.updates, truth, pairs, idle=idle, span_ns=span_ns)),
        **vars(
            probability_scores.evaluate(
                np.array([said.probabilities[i] for i in known]).reshape(len(known), len(labels)),
                np.array([index[true[i]] for i in known], np.int64),
            )
        ),
        **vars(segments.evaluate([label for label, _ in scored], [label for _, label in scored], idle)),
        **vars(
            stability.evaluate(
                [update.label for update in said.updates],
                *(said.announced, stamps_ns, said.stable, truth),
                updates.onset_scores(updates.onset_delays_s(as_announced, truth, idle)),
                idle=idle,
                span_ns=span_ns,
            )
        ),
        clips=clips,
    )
