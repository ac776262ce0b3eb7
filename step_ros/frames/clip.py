"""Which frames does a window look at?"""

from __future__ import annotations

import math
from collections import Counter
from dataclasses import dataclass

from step_ros.frames.frame import Frame


@dataclass(frozen=True)
class ClipSpec:
    """A window of ``num_frames`` positions on a fixed time grid.

    The grid is anchored at stamp 0 and so depends on nothing but stamps: cameras of any rate, and any two
    runs over one recording, share it. The frame for a grid time is the newest one at or before it, and less
    than one step old.

    Example:
        >>> clip = ClipSpec(num_frames=16, window_seconds=2.0)
        >>> clip.step_ns
        125000000
        >>> clip.grid_index(250_000_001)
        3

    Raises:
        ValueError: A field is out of its range; the message names what was found.
    """

    num_frames: int
    """T, the number of positions in a window: at least 1."""

    window_seconds: float
    """The time that T steps of the grid take, in seconds: above 0."""

    def __post_init__(self) -> None:
        """Check the fields."""
        if not isinstance(self.num_frames, int) or isinstance(self.num_frames, bool) or self.num_frames < 1:
            raise ValueError(f"num_frames must be an integer of at least 1, got {self.num_frames!r}")
        if (
            not isinstance(self.window_seconds, (int, float))
            or isinstance(self.window_seconds, bool)
            or not math.isfinite(self.window_seconds)
            or self.step_ns < 1
        ):
            raise ValueError(
                f"window_seconds must be a finite number that gives each of {self.num_frames} frames "
                f"at least 1 ns, got {self.window_seconds!r}"
            )

    @property
    def step_ns(self) -> int:
        """The time between two grid times, in nanoseconds."""
        return round(self.window_seconds * 1e9 / self.num_frames)

    @property
    def window_ns(self) -> int:
        """The time that a window spans, in nanoseconds: a whole number of steps."""
        return self.num_frames * self.step_ns

    def grid_index(self, stamp_ns: int) -> int:
        """The index of the first grid time at or after ``stamp_ns``."""
        return -(-stamp_ns // self.step_ns)

    def grid_time_ns(self, index: int) -> int:
        """The grid time of ``index``, in nanoseconds."""
        return index * self.step_ns


@dataclass(frozen=True, eq=False)
class Sampled:
    """The frame for one grid time."""

    grid_index: int
    """Which grid time: ``ClipSpec.grid_time_ns(grid_index)``."""

    frame: Frame
    """The newest frame at or before the grid time, less than one step old."""

    generation: int
    """Counts the fresh starts: frames of two generations do not belong into one window."""


class GridSampler:
    """Picks, live, the frame for each grid time, by stamps alone.

    Each frame pushed ends in exactly one of: returned in a ``Sampled``, ``counts["skipped_by_sampling"]``
    (a newer frame of its cell took its place, or ``reset`` dropped it), ``counts["duplicate_stamp"]`` (its
    stamp is the newest one's), ``counts["late_frame"]`` (older than the newest, by at most a window), or
    ``pending``.

    A frame that is older or newer than the newest one by more than a window says that time has jumped (a bag
    that loops, a simulation that was restarted, a camera that was away): it is counted in ``restarts`` and
    starts a new generation.
    """

    def __init__(self, clip: ClipSpec) -> None:
        """Start with nothing seen."""
        self.clip = clip
        self.counts: Counter[str] = Counter(skipped_by_sampling=0, duplicate_stamp=0, late_frame=0)
        self.restarts: Counter[str] = Counter(stamp_jumped_back=0, stamp_jumped_ahead=0)
        self._generation = 0
        self._newest_ns: int | None = None
        self._pending: Sampled | None = None

    @property
    def pending(self) -> int:
        """How many frames wait for their grid time to pass: 0 or 1."""
        return int(self._pending is not None)

    def push(self, frame: Frame) -> Sampled | None:
        """Take the next frame; return the frame whose grid time has just become final, if one has.

        A grid time is final once a frame stands exactly on it, or once a later frame opens the next cell. A
        frame exactly on its grid time is returned at once, unless it also makes the one before it final:
        then that one is returned, and the new one at the next push.
        """
        if self._newest_ns is not None:
            ahead_ns = frame.stamp_ns - self._newest_ns
            if ahead_ns == 0:
                self.counts["duplicate_stamp"] += 1
                return None
            if -self.clip.window_ns <= ahead_ns < 0:
                self.counts["late_frame"] += 1
                return None
            if abs(ahead_ns) > self.clip.window_ns:
                self.restarts["stamp_jumped_ahead" if ahead_ns > 0 else "stamp_jumped_back"] += 1
                self._generation += 1
        self._newest_ns = frame.stamp_ns

        opened = Sampled(self.clip.grid_index(frame.stamp_ns), frame, self._generation)
        finished, self._pending = self._pending, opened
        if finished is not None:
            if (finished.grid_index, finished.generation) != (opened.grid_index, opened.generation):
                return finished
            self.counts["skipped_by_sampling"] += 1
        if frame.stamp_ns == self.clip.grid_time_ns(opened.grid_index):
            self._pending = None
            return opened
        return None

    def reset(self) -> None:
        """Forget what was seen and start a new generation; the counts go on."""
        self.counts["skipped_by_sampling"] += self.pending
        self._pending = None
        self._newest_ns = None
        self._generation += 1
