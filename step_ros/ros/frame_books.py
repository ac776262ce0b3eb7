"""Where a node says that every single image went, and whether its books balance."""

from __future__ import annotations

from collections.abc import Mapping

FATES = ("encoded", "skipped_by_sampling", "skipped_inactive", "pending", "waiting")


def frame_counts(values: Mapping[str, str]) -> dict[str, int]:
    """The frame ledger, as diagnostics tell it: every cause by name."""
    names = ("received", "lost_before_receipt", *FATES)
    counts = {name: int(values[name]) for name in names if name in values}
    return counts | {name: int(value) for name, value in values.items() if name.startswith("dropped.")}


def unaccounted_frames(frames: Mapping[str, int], published: int) -> int:
    """How many published frames nobody can say the fate of; 0 if the books balance."""
    outside = published - frames.get("received", 0) - frames.get("lost_before_receipt", 0)
    return abs(outside) + unaccounted_received(frames)


def unaccounted_received(frames: Mapping[str, int]) -> int:
    """The same of the frames that the node received."""
    fates = sum(frames.get(fate, 0) for fate in FATES)
    drops = sum(count for name, count in frames.items() if name.startswith("dropped."))
    return abs(frames.get("received", 0) - fates - drops)
