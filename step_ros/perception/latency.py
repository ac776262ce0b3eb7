"""How long has it taken of late?"""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass

import numpy as np

RECENT_SECONDS = 10.0
"""What is longer ago says nothing of how long it takes now."""


@dataclass(frozen=True)
class Latency:
    """Percentiles of the latest times."""

    count: int
    """Of how many."""
    p50_ms: float
    """Median, in milliseconds; NaN while there are none."""
    p99_ms: float
    """99th percentile, in milliseconds; NaN while there are none."""
    worst_ms: float
    """The longest, in milliseconds; NaN while there are none."""


class Latencies:
    """Keeps times for `RECENT_SECONDS`; whoever owns it holds a lock around every call.

    Seconds are of any one clock that never goes back.
    """

    def __init__(self) -> None:
        self._kept: deque[tuple[float, float]] = deque()

    def add(self, milliseconds: float, now_s: float) -> None:
        """It has just taken that long."""
        self._kept.append((now_s, milliseconds))
        self._expire(now_s)

    def now(self, now_s: float) -> Latency:
        """Percentiles of what is kept."""
        self._expire(now_s)
        if not self._kept:
            return Latency(0, float("nan"), float("nan"), float("nan"))
        p50, p99, worst = np.percentile([milliseconds for _, milliseconds in self._kept], (50, 99, 100))
        return Latency(len(self._kept), float(p50), float(p99), float(worst))

    def clear(self) -> None:
        """Forget all."""
        self._kept.clear()

    def _expire(self, now_s: float) -> None:
        while self._kept and now_s - self._kept[0][0] > RECENT_SECONDS:
            self._kept.popleft()
