"""Fewer frames, evenly, where all of them are too many: some labels instead of none."""

from __future__ import annotations

import statistics
from collections import deque

LEAST_FRAMES = 4
"""Frames of its own that a window keeps, however slow the machine: fewer do not tell which way things go."""

_TOLERATED = 0.75
"""Frames lost to overload for each that is encoded: a window with so few gaps is whole."""
_LASTING = 4
"""Frames lost beyond that which are no passing matter."""
_BUSY = 0.9
"""Share of the time between two frames that the work for one may take."""
_IDLE = 0.6
"""Below this share, were twice as many frames taken, so many are taken again."""
_COSTS_KEPT = 5
"""Turns whose median says what a frame costs: one that takes long for once changes nothing."""


class Thinning:
    """One frame in `stride` steps of the time grid is encoded; the steps between hold it.

    A queue that drops what waits too long leaves gaps wherever it happens to be full, and a window with too
    many is no window: where less than half of the frames can be encoded there would be no labels at all. So
    under lasting overload the stride is doubled until the work for a frame fits between two, and halved once
    that would have left time to spare for two windows.

    Args:
        step_seconds: of the time grid.
        num_frames: T, steps in a window.
    """

    def __init__(self, step_seconds: float, num_frames: int) -> None:
        self.restart(step_seconds, num_frames)

    def restart(self, step_seconds: float, num_frames: int) -> None:
        """Take every frame, of another grid."""
        self.stride = 1
        self._step_seconds = step_seconds
        self._num_frames = num_frames
        self._costs: deque[float] = deque(maxlen=_COSTS_KEPT)
        self._lost = 0.0
        self._spare_seconds = 0.0

    def takes(self, grid_index: int) -> bool:
        """Whether the frame of a grid step is encoded."""
        return grid_index % self.stride == 0

    def note(self, seconds: float, encoded: int, lost: int, most: int) -> bool:
        """Take note of work that has been done; returns whether the stride has changed.

        Args:
            seconds: what it took.
            encoded: frames of a camera that were encoded, at least 1.
            lost: frames that overload has dropped meanwhile.
            most: largest stride now; see `most_stride`.
        """
        self._costs.append(seconds / encoded)
        self._lost = max(self._lost + lost - _TOLERATED * encoded, 0.0)
        before, self.stride = self.stride, min(self.stride, most)
        if self._lost >= _LASTING and self.stride < most and not self._fits(self.stride, _BUSY):
            self.stride *= 2
            while self.stride < most and not self._fits(self.stride, _BUSY):
                self.stride *= 2
        elif self.stride > 1 and self._fits(self.stride // 2, _IDLE):
            self._spare_seconds += encoded * self.stride * self._step_seconds
            if self._spare_seconds >= 2 * self._num_frames * self._step_seconds:
                self.stride //= 2
        else:
            self._spare_seconds = 0.0
        if self.stride != before:
            self._lost = self._spare_seconds = 0.0
        return self.stride != before

    def _fits(self, stride: int, share: float) -> bool:
        return statistics.median(self._costs) <= share * stride * self._step_seconds


def most_stride(num_frames: int, max_held: int | None) -> int:
    """The largest stride, a power of two, of a window of T frames.

    Args:
        num_frames: T.
        max_held: most positions that may be held, if somebody chose it: then thinning keeps to it.
    """
    stride = 1
    while num_frames // (2 * stride) >= LEAST_FRAMES:
        if max_held is not None and held_by(2 * stride, num_frames) > max_held:
            break
        stride *= 2
    return stride


def held_by(stride: int, num_frames: int) -> int:
    """Most positions of a window of T that are held if one step in `stride` has a frame of its own."""
    return num_frames - num_frames // stride
