"""Stores of clips: T frames evenly over each, however long it is, as in the STEP paper."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from step_ros.frames import ClipSpec
from step_ros.training.datasets import ClipSet
from step_ros.training.datasets.labelled_bag import read_frames
from step_ros.training.store.token_store import StoredClip, TokenStore, name_of_view
from step_ros.training.views import View
from step_ros.training.windows import Teaching, Window, with_backwards


@dataclass(frozen=True)
class ClipSampling:
    """T frames evenly spaced over each clip, however long it is: the protocol of the STEP paper."""

    num_frames: int = 16
    """T."""
    trim: float = 0.0
    """Share of a clip that is left out at each end, below 0.5."""

    def __post_init__(self) -> None:
        if self.num_frames < 2:
            raise ValueError(f"a clip needs at least 2 frames, got {self.num_frames}")
        if not 0 <= self.trim < 0.5:
            raise ValueError(f"trim must be a share from 0 to below 0.5, got {self.trim}")

    cuts_clips: ClassVar[bool] = True

    def header(self) -> dict[str, Any]:
        """What the store says of its sampling."""
        return {"sampling": {"kind": "clip", **asdict(self)}}

    def estimate_frames(self, clip_set: ClipSet) -> int:
        """How many frames a view has."""
        return len(clip_set.clips) * self.num_frames

    def tensor_of(self, index: int) -> str:
        """Name of the tensor of a video's clip `index`."""
        return f"clip.{index}"

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

    def window(self, durations: Iterable[float]) -> ClipSpec:
        """The window of the node that shows as much time as the median clip, of durations in seconds.

        The oldest and newest of T frames are T - 1 steps apart, and a window takes T steps.
        """
        median = float(np.median(list(durations)))
        first, last = self.span(0.0, max(median, 1e-3))
        seconds = (last - first) * self.num_frames / (self.num_frames - 1)
        return ClipSpec(self.num_frames, round(seconds, 3))

    def select(
        self,
        video: Path,
        name: str,
        stamps: NDArray[np.float64],
        spans: Sequence[tuple[float, float] | None],
        draw: Callable[[str], Sequence[View]],
    ) -> Iterator[tuple[str, View, Iterator[NDArray[np.uint8]]]]:
        """One tensor a clip and view: its name, the view, and the T frames (H, W, 3) that are encoded.

        Args:
            video: which.
            name: of its file in the store.
            stamps: (F,) of its frames, in seconds.
            spans: of each clip where it starts and ends, in seconds; None where it is left out.
            draw: makes the views of what is called so.
        """
        chosen: dict[str, tuple[View, NDArray[np.intp]]] = {}
        for index, span in enumerate(spans):
            if span is None:
                continue
            for number, view in enumerate(draw(f"{name} {index}")):
                indices = self.choose(stamps, *span, view.zoom)
                chosen[name_of_view(self.tensor_of(index), number)] = view, indices
        wanted = {int(index) for _, indices in chosen.values() for index in indices}
        frames = {index: frame.rgb for index, frame in enumerate(read_frames(video)) if index in wanted}
        for tensor, (view, indices) in chosen.items():
            yield tensor, view, (frames[int(index)] for index in indices)


class ClipStore(TokenStore):
    """A store in which a clip is its window."""

    what_is_judged = "clips"

    def clip_windows(self, clips: Sequence[StoredClip]) -> list[Window]:
        """One window a clip: all of it."""
        return [Window(clip.file, clip.tensor, 0, clip.labels) for clip in clips]

    def training_windows(self, clips: Sequence[StoredClip], teaching: Teaching) -> list[Window]:
        """These clips, and the same backwards, without those that teach no head."""
        windows = self.clip_windows(clips)
        if teaching.of_backwards:
            windows = with_backwards(windows, teaching.partner)
        return teaching.useful(windows)
