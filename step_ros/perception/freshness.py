"""May the labels of a camera be believed now? What a planner has to be told when they may not."""

from __future__ import annotations

import threading
from dataclasses import dataclass


@dataclass(frozen=True)
class FreshnessLimits:
    """From when on labels are stale."""

    timeout_s: float
    """Seconds without a new label."""
    max_age_s: float
    """Seconds that an image's stamp may be behind the clock, or ahead of it; 0 does not compare them."""


class Freshness:
    """Whether labels go out, and since when they do not; safe to use from several threads.

    There are three states: *waiting* for the first labels after a start or a reset, *fresh*, and *stale*.
    Labels are stale when none has come for a while, whatever the cause, or when the newest image's stamp is
    too far from the clock. Whoever publishes takes the old labels back at that moment (`check`, `admit`), and
    nothing is published again before the next good label (`admit`).

    Seconds are of any one clock; stamps, and the clock that they are compared with, are in nanoseconds.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._since_s = 0.0
        self._grace_s = 0.0
        self._fresh = False
        self._reason = ""
        self._misdated = ""
        self._lapses = 0

    def start(self, now_s: float, grace_s: float) -> None:
        """Wait for labels; they are stale only if none has come `grace_s` seconds from now."""
        with self._lock:
            self._since_s, self._grace_s = now_s, grace_s
            self._fresh, self._reason, self._misdated = False, "", ""

    def admit(self, now_s: float, stamp_ns: int, clock_ns: int, limits: FreshnessLimits) -> bool:
        """Whether labels of that stamp may be published; if not, they are stale and `reason` says why.

        Args:
            now_s: now.
            stamp_ns: of the newest image that they rest on.
            clock_ns: now, by the clock that images are stamped with.
            limits: see there.
        """
        age_s = (clock_ns - stamp_ns) / 1e9
        with self._lock:
            if limits.max_age_s and abs(age_s) > limits.max_age_s:
                self._misdated = _misdated(age_s, limits.max_age_s)
                self._lapse(self._misdated)
                return False
            self._fresh, self._reason, self._misdated = True, "", ""
            self._since_s, self._grace_s = now_s, 0.0
            return True

    def check(self, now_s: float, limits: FreshnessLimits) -> bool:
        """Whether labels have become stale with this call."""
        with self._lock:
            self._since_s = min(
                self._since_s, now_s
            )  # a clock that was set back, as of a recording that loops
            if self._reason or now_s - self._since_s <= max(limits.timeout_s, self._grace_s):
                return False
            self._lapse(f"no label for {now_s - self._since_s:.1f} s")
            return True

    @property
    def reason(self) -> str:
        """Why labels are stale; empty while they are fresh, or waited for."""
        with self._lock:
            return self._reason

    @property
    def misdated(self) -> str:
        """What is wrong with the newest images' stamps; empty if nothing is."""
        with self._lock:
            return self._misdated

    @property
    def state(self) -> str:
        """``waiting``, ``fresh`` or ``stale``."""
        with self._lock:
            return "stale" if self._reason else "fresh" if self._fresh else "waiting"

    @property
    def lapses(self) -> int:
        """How often labels have become stale."""
        with self._lock:
            return self._lapses

    def _lapse(self, reason: str) -> None:
        """With the lock held."""
        self._lapses += not self._reason
        self._fresh, self._reason = False, reason


def _misdated(age_s: float, limit_s: float) -> str:
    if age_s < 0:
        return (
            f"images are stamped {-age_s:.1f} s ahead of this node's clock, more than the {limit_s:g} s "
            "allowed: synchronise the clocks"
        )
    return (
        f"images are {age_s:.1f} s old by this node's clock, more than the {limit_s:g} s allowed: "
        "synchronise the clocks, or for a recording set use_sim_time and play it with /clock"
    )
