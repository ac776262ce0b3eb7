"""How often something is done, by the stamps of the frames it is done for."""

from __future__ import annotations


def is_due(stamp_ns: int, last_ns: int | None, max_rate: float) -> bool:
    """Whether doing it for `stamp_ns`, after `last_ns`, keeps to `max_rate` times a second.

    A stamp before the last one is a recording that begins again.
    """
    # A rate that is the windows' own must not lose every other one to rounding.
    return last_ns is None or not 0 <= stamp_ns - last_ns < 0.99e9 / max_rate
