"""Which frames of a labelled video are encoded: evenly over each clip, or all grid times of a video."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from step_ros.frames import ClipSpec, Frame, GridSampler


@dataclass(frozen=True)
class ClipSampling:
    """T frames evenly spaced over each clip, however long it is: the protocol of the STEP paper."""

    num_frames: int = 16
    """T."""
    trim: float = 0.0
    """Share of a clip that is left out at each end, below 0.5."""

    def __post_init__(self) -> None:
        """Check the fields."""
        if self.num_frames < 2:
            raise ValueError(f"a clip needs at least 2 frames, got {self.num_frames}")
        if not 0 <= self.trim < 0.5:
            raise ValueError(f"trim must be a share from 0 to below 0.5, got {self.trim}")

    def to_json(self) -> dict[str, Any]:
        """The fields, for a manifest."""
        return asdict(self)

    def span(self, start: float, end: float) -> tuple[float, float]:
        """The times of the first and last frame of a clip that shows `start` to `end`, in seconds."""
        cut = self.trim * (end - start)
        return start + cut, end - cut

    def choose(
        self, stamps: NDArray[np.float64], start: float, end: float, zoom: tuple[float, float] = (0.0, 1.0)
    ) -> NDArray[np.intp]:
        """Indices (T,) of the frames nearest to T even times over what a clip shows.

        Args:
            stamps: (F,) of the video's frames, in seconds.
            start: the clip's first moment.
            end: the moment after its last.
            zoom: the part of the trimmed clip to look at, from 0 to 1.

        Raises:
            ValueError: no frame is in the clip.
        """
        inside = np.flatnonzero((stamps >= start - 1e-6) & (stamps < end - 1e-6))
        if len(inside) == 0:
            raise ValueError(f"no frame lies between {start:.3f} and {end:.3f} s")
        first, last = self.span(stamps[inside[0]], stamps[inside[-1]])
        times = first + (last - first) * np.linspace(*zoom, self.num_frames)
        nearest: NDArray[np.intp] = np.abs(stamps[inside][None] - times[:, None]).argmin(axis=1)
        return np.asarray(inside[nearest], np.intp)

    def window_seconds(self, durations: Iterable[float]) -> float:
        """The window of the node that shows as much time as the median clip of these durations.

        The oldest and newest of T frames are T - 1 steps apart, and a window takes T steps.
        """
        median = float(np.median(list(durations)))
        first, last = self.span(0.0, max(median, 1e-3))
        return round((last - first) * self.num_frames / (self.num_frames - 1), 3)


def grid_frames(frames: Iterator[Frame], clip: ClipSpec) -> Iterator[Frame]:
    """One frame a grid time, as the node chooses it; the older one stands in where a grid time has none."""
    sampler = GridSampler(clip)
    last: Frame | None = None
    expected: int | None = None
    for frame in frames:
        sampled = sampler.push(frame)
        if sampled is None:
            continue
        while expected is not None and last is not None and expected < sampled.grid_index:
            yield last
            expected += 1
        last, expected = sampled.frame, sampled.grid_index + 1
        yield last
