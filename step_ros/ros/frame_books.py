"""Where every single image went that a camera published, and whether the books balance."""

from __future__ import annotations

from collections.abc import Mapping

from step_ros.perception.ledger import Ledger

_LOST = "lost_before_receipt"


def frame_counts(values: Mapping[str, str]) -> dict[str, int]:
    """The ledger, as diagnostics tell it, and what was published and never received."""
    return {**Ledger.from_json(values).to_json(), _LOST: int(values.get(_LOST, 0))}


def unaccounted_frames(frames: Mapping[str, int], published: int) -> int:
    """How many published frames nobody can say the fate of; 0 if the books balance."""
    outside = published - frames.get("received", 0) - frames.get(_LOST, 0)
    return abs(outside) + unaccounted_received(frames)


def unaccounted_received(frames: Mapping[str, int]) -> int:
    """The same of the frames that the node received."""
    return abs(Ledger.from_json(frames).unaccounted)
