"""May the labels of a camera be believed now? What a planner has to be told when they may not."""

from __future__ import annotations

import threading
from collections import Counter
from dataclasses import dataclass
from enum import Enum


@dataclass(frozen=True)
class FreshnessLimits:
    """From when on labels are stale."""

    timeout_s: float
    """Seconds without a new label."""
    max_age_s: float
    """Seconds that an image's stamp may be behind the clock, or ahead of it; 0 does not compare them."""


class Withholding(Enum):
    """Why labels are not published though there are some; the value is what people read."""

    OLD_STAMP = "old_stamp"
    """The image was too old when it was received: by its stamp, or on its way."""
    STAMP_AHEAD = "stamp_ahead"
    """The image's stamp lay too far ahead of the clock when it was received."""
    OWN_DELAY = "own_delay"
    """The image was not too old when it was received, and this node took longer than it was old."""
    FROM_BEFORE = "from_before"
    """Labels had been taken back, and the image was here before that: the last one before a pause, say."""


@dataclass(frozen=True)
class Withheld:
    """Labels that were not published."""

    stamp_ns: int
    """Of their newest image."""
    age_s: float
    """By how much the clock was ahead of the stamp at receipt; seconds."""
    delay_s: float
    """From receipt on, until they could have been published; seconds."""
    max_age_s: float
    """What was allowed, of both together; seconds."""


class Freshness:
    """Whether labels go out, and since when they do not; safe to use from several threads.

    There are three states: *waiting* for the first labels after a start or a reset, *fresh*, and *stale*.
    Labels are stale when none has come for a while, whatever the cause, or when the newest image's stamp is
    too far from the clock. Whoever publishes takes the old labels back at that moment (`check`, `admit`), and
    nothing is published again before the next good label, of an image that was not here already (`admit`).

    Seconds are of any one clock; stamps, and the clock that they are compared with, are in nanoseconds.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._since_s = 0.0
        self._grace_s = 0.0
        self._state = "waiting"
        self._withheld: Counter[Withholding] = Counter()
        self._last_withheld: dict[Withholding, Withheld] = {}
        self._lapses = 0

    def start(self, now_s: float, grace_s: float) -> None:
        """Wait for labels; they are stale only if none has come `grace_s` seconds from now."""
        with self._lock:
            self._since_s, self._grace_s = now_s, grace_s
            self._state = "waiting"

    def admit(
        self, now_s: float, stamp_ns: int, receipt_ns: int, clock_ns: int, limits: FreshnessLimits
    ) -> bool:
        """Whether labels of that stamp may be published; if not, they are stale, and `withheld` says why.

        Args:
            now_s: now.
            stamp_ns: of the newest image that they rest on.
            receipt_ns: when that image was received, by the clock that images are stamped with.
            clock_ns: now, by the clock that images are stamped with.
            limits: see there.
        """
        limit_ns = limits.max_age_s * 1e9
        with self._lock:
            if limit_ns and abs(clock_ns - stamp_ns) > limit_ns:
                age_ns, delay_ns = receipt_ns - stamp_ns, clock_ns - receipt_ns
                if abs(age_ns) <= limit_ns and delay_ns > abs(age_ns):
                    cause = Withholding.OWN_DELAY
                else:
                    cause = Withholding.OLD_STAMP if age_ns > 0 else Withholding.STAMP_AHEAD
                self._last_withheld[cause] = Withheld(
                    stamp_ns, age_ns / 1e9, delay_ns / 1e9, limits.max_age_s
                )
                self._withheld[cause] += 1
                self._lapse()
                return False
            if self._state == "stale" and clock_ns - receipt_ns > limits.timeout_s * 1e9:
                self._withheld[Withholding.FROM_BEFORE] += 1
                return False
            self._state = "fresh"
            self._since_s, self._grace_s = now_s, 0.0
            return True

    def check(self, now_s: float, limits: FreshnessLimits) -> bool:
        """Whether labels have become stale with this call."""
        with self._lock:
            self._since_s = min(
                self._since_s, now_s
            )  # a clock that was set back, as of a recording that loops
            if self._state == "stale" or now_s - self._since_s <= max(limits.timeout_s, self._grace_s):
                return False
            self._lapse()
            return True

    def silence(self, now_s: float) -> float:
        """Seconds since the last label, or since labels have been waited for."""
        with self._lock:
            return max(0.0, now_s - self._since_s)

    @property
    def withheld(self) -> Counter[Withholding]:
        """How many updates were withheld, by cause."""
        with self._lock:
            return self._withheld.copy()

    @property
    def last_withheld(self) -> dict[Withholding, Withheld]:
        """The newest of each cause."""
        with self._lock:
            return dict(self._last_withheld)

    @property
    def state(self) -> str:
        """``waiting``, ``fresh`` or ``stale``."""
        with self._lock:
            return self._state

    @property
    def lapses(self) -> int:
        """How often labels have become stale."""
        with self._lock:
            return self._lapses

    def _lapse(self) -> None:
        """With the lock held."""
        self._lapses += self._state != "stale"
        self._state = "stale"
