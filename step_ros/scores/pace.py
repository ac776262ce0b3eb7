"""How fast and how steadily did labels come? Of a whole run, whatever its labels say.

Conventions: times are integer nanoseconds, a value an update. What a listener cannot know of a node, such
as what its computing took, is None, and so are the scores of it.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Annotated

import numpy as np

from step_ros.scores.score import Score, Scores, Value
from step_ros.scores.updates import rate_hz


@dataclass(frozen=True)
class Percentiles(Scores):
    """Of a time in milliseconds; None of no values."""

    p50: Annotated[Value, Score("median", "ms", format=".0f")]
    p99: Annotated[Value, Score("99th percentile", "ms", format=".0f")]


@dataclass(frozen=True)
class PaceScores(Scores):
    """Of all updates, of which each holds a label of every task."""

    updates: Annotated[int, Score("updates", doc="in all", format="d")]
    updates_per_second: Annotated[Value, Score("rate", "1/s", "updates between the first and the last")]
    coverage: Annotated[float, Score("coverage", "%", "grid times with an update")]
    hold_share: Annotated[
        Value, Score("held", "%", "window positions that show an older image for want of one")
    ]
    latency_ms: Annotated[
        Percentiles, Score("image to label", doc="from the newest image's stamp to the receipt of the label")
    ]
    compute_ms: Annotated[Percentiles, Score("computing", doc="of that, backbone and heads")]


def percentiles_ms(values_ns: Sequence[int | None]) -> Percentiles:
    """Median and 99th percentile, interpolated, of times in nanoseconds; None if any of them is not known."""
    known = [value for value in values_ns if value is not None]
    if not known or len(known) < len(values_ns):
        return Percentiles(None, None)
    p50, p99 = np.percentile(np.array(known) / 1e6, (50, 99)).tolist()
    return Percentiles(p50, p99)


def evaluate(
    stamps_ns: Sequence[int],
    received_ns: Sequence[int],
    *,
    grid_times: int,
    compute_ns: Sequence[int | None],
    held_shares: Sequence[float | None],
) -> PaceScores:
    """All scores of pace.

    Args:
        stamps_ns: of each update's newest image.
        received_ns: when a planner had it.
        grid_times: how many times of the grid the recording has a window for.
        compute_ns: what backbone and heads took; None where nobody knows.
        held_shares: share of the window's positions that show an older image; None where nobody knows.

    Raises:
        ValueError: there are not as many receipts as stamps.
    """
    if len(stamps_ns) != len(received_ns):
        raise ValueError(
            f"a stamp and a receipt an update are needed, got {len(stamps_ns)} and {len(received_ns)}"
        )
    held = [share for share in held_shares if share is not None]
    return PaceScores(
        updates=len(stamps_ns),
        updates_per_second=rate_hz(stamps_ns),
        coverage=min(1.0, len(stamps_ns) / max(1, grid_times)),
        hold_share=float(np.mean(held)) if held and len(held) == len(held_shares) else None,
        latency_ms=percentiles_ms([had - said for had, said in zip(received_ns, stamps_ns, strict=True)]),
        compute_ms=percentiles_ms(compute_ns),
    )
