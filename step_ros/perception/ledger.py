"""What became of every image?"""

from __future__ import annotations

import threading
from collections import Counter
from collections.abc import Collection, Mapping
from enum import Enum

_DROPPED = "dropped."


class Fate(Enum):
    """What became of an image.

    Its class is the group that it belongs to, so a fate of one group cannot pass for one of another. Its
    value is the name that people read in diagnostics and in run.json.
    """

    @property
    def word(self) -> str:
        """The name without its prefix, for sentences."""
        name: str = self.value
        return name.removeprefix(_DROPPED)


class Used(Fate):
    """It did what it came for."""

    ENCODED = "encoded"
    """It went through the backbone."""


class ByDesign(Fate):
    """Nobody wanted it, on the fastest of machines neither."""

    SKIPPED_BY_SAMPLING = "skipped_by_sampling"
    """It was not the newest of its step of the window, or was forgotten by a reset or for another window."""
    SKIPPED_INACTIVE = "skipped_inactive"
    """It came while the node was inactive."""


class UnderWay(Fate):
    """Nothing yet."""

    PENDING = "pending"
    """It waits for its step of the grid to end."""
    WAITING = "waiting"
    """It waits for a thread, or is in its hands."""


class Overload(Fate):
    """The machine was too slow."""

    BEFORE_DECODING = "dropped.decode_overload"
    """It was the oldest of too many that waited to be decoded."""
    BEFORE_ENCODING = "dropped.overload"
    """It was the oldest of too many that waited to be encoded."""
    THINNED_OUT = "dropped.thinned_out"
    """It was of a step of the grid that is left out for as long as the machine cannot encode all."""


class Clock(Fate):
    """Its stamp does not follow the one before."""

    LATE_FRAME = "dropped.late_frame"
    """It was older, by a window at most."""
    DUPLICATE_STAMP = "dropped.duplicate_stamp"
    """It had the same."""


class Inference(Fate):
    """The engine or a head failed."""

    INFERENCE_ERROR = "dropped.inference_error"
    """It made one fail, was in it when it hung, or had tokens that are not finite, like those just before."""


class Decoding(Fate):
    """It could not be decoded: the causes of `ImageError`, and one for what nobody thought of."""

    ZERO_SIZE = "dropped.zero_size"
    TRUNCATED_DATA = "dropped.truncated_data"
    WRONG_STEP = "dropped.wrong_step"
    UNKNOWN_ENCODING = "dropped.unknown_encoding"
    TOO_LARGE = "dropped.too_large"
    CORRUPT_COMPRESSED = "dropped.corrupt_compressed"
    UNREADABLE = "dropped.unreadable"

    @classmethod
    def of(cls, cause: str) -> Decoding:
        """The fate of an image with that `ImageError.cause`, or ``"unreadable"``."""
        return cls(_DROPPED + cause)


DROPPED: tuple[type[Fate], ...] = (Overload, Clock, Inference, Decoding)
"""The groups of images that were wanted, and lost."""

GROUPS: tuple[type[Fate], ...] = (Used, ByDesign, UnderWay, *DROPPED)
"""All of them."""

FATES: tuple[Fate, ...] = tuple(fate for group in GROUPS for fate in group)
"""Every fate of every group."""


class LostUpdate(Enum):
    """What an update was lost to. That is no image's fate: those of the window are encoded."""

    HEAD_ERROR = "head_error"
    CALLBACK_ERROR = "callback_error"
    HANG = "hang"
    NOT_FINITE = "not_finite"
    """To NaN or infinity: all of it if the backbone's tokens hold one, else the faulty head's answer."""


class Ledger:
    """Counts images and their fates, from any thread.

    Each stage on an image's way has a ledger of its own; `followed_by` joins them. At a moment when no image
    is between two stages, ``received`` is the sum of all fates.

    Args:
        received: images so far.
        counts: of them, by fate.
    """

    def __init__(self, received: int = 0, counts: Mapping[Fate, int] | None = None) -> None:
        self._lock = threading.Lock()
        self._received = received
        self._counts: Counter[Fate] = Counter(counts or {})

    def receive(self) -> None:
        """An image has come."""
        with self._lock:
            self._received += 1

    def settle(self, fate: Fate, count: int = 1) -> None:
        """So many of the images that have come met this fate."""
        with self._lock:
            self._counts[fate] += count

    @property
    def received(self) -> int:
        """How many images have come."""
        return self._received

    def __getitem__(self, fate: Fate) -> int:
        """How many met this fate."""
        return self._counts[fate]

    def total(self, *groups: type[Fate]) -> int:
        """How many met a fate of these groups."""
        with self._lock:
            return sum(count for fate, count in self._counts.items() if isinstance(fate, groups))

    @property
    def unaccounted(self) -> int:
        """Of how many nobody can say the fate; below 0 if some have two. 0 if the books balance."""
        received, counts = self._read()
        return received - counts.total()

    def followed_by(self, next_stage: Ledger) -> Ledger:
        """The books of two stages at this moment: received by this one, settled by either."""
        received, counts = self._read()
        counts.update(next_stage._read()[1])
        return Ledger(received, counts)

    def since(self, before: Ledger) -> Ledger:
        """What has come on top of these earlier books."""
        (received, counts), (received_before, counts_before) = self._read(), before._read()
        counts.subtract(counts_before)
        return Ledger(received - received_before, counts)

    def to_json(self, always: Collection[Fate] = FATES) -> dict[str, int]:
        """``received`` and the fates by the names that people read.

        Args:
            always: fates that are named though no image met them.
        """
        received, counts = self._read()
        named = {fate.value: counts[fate] for fate in FATES if counts[fate] or fate in always}
        return {"received": received, **named}

    @classmethod
    def from_json(cls, values: Mapping[str, int | str]) -> Ledger:
        """The books that `to_json` or diagnostics tell; what else they tell is passed over."""
        counts = {fate: int(values[fate.value]) for fate in FATES if fate.value in values}
        return cls(int(values.get("received", 0)), counts)

    def _read(self) -> tuple[int, Counter[Fate]]:
        with self._lock:
            return self._received, self._counts.copy()
