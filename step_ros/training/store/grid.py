"""Stores of whole videos: a frame at every grid time, as the node chooses them, over which windows slide."""

from __future__ import annotations

from bisect import bisect_right
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from step_ros.frames import ClipSpec, Frame, GridSampler
from step_ros.training.datasets import ClipSet
from step_ros.training.datasets.labelled_bag import announced_seconds, read_frames
from step_ros.training.store.token_store import StoredClip, TokenStore, name_of_view
from step_ros.training.views import View
from step_ros.training.windows import Partners, Teaching, Window, reversed_labels

TENSOR = "tokens"
"""Name of a video's tensor."""


@dataclass(frozen=True)
class GridSampling:
    """Every grid time of whole videos."""

    clip: ClipSpec
    """The window that will slide over them, which says how far grid times are apart."""
    cuts_clips: ClassVar[bool] = False

    def header(self) -> dict[str, Any]:
        """What the store says of its sampling."""
        return {"clip": asdict(self.clip)}

    def estimate_frames(self, clip_set: ClipSet) -> int:
        """About how many frames a view has; videos are asked for their length, not read."""
        seconds = sum(announced_seconds(video) for video in {clip.video for clip in clip_set.clips})
        return round(seconds * 1e9 / self.clip.step_ns)

    def tensor_of(self, index: int) -> str:
        """Name of the tensor that a video's clip `index` lies in: one for all."""
        return TENSOR

    def window(self, durations: Iterable[float]) -> ClipSpec:
        """The window, whatever the durations of clips are."""
        return self.clip

    def select(
        self,
        video: Path,
        name: str,
        stamps: NDArray[np.float64],
        spans: Sequence[tuple[float, float] | None],
        draw: Callable[[str], Sequence[View]],
    ) -> Iterator[tuple[str, View, Iterator[NDArray[np.uint8]]]]:
        """One tensor a view, of the frames of all grid times; see `ClipSampling.select`."""
        for number, view in enumerate(draw(name)):
            frames = grid_frames(read_frames(video), self.clip)
            yield name_of_view(TENSOR, number), view, (frame.rgb for frame in frames)


class GridStore(TokenStore):
    """A store of whole videos, in which a window may begin at any grid time."""

    @property
    def what_is_judged(self) -> str:
        """Clips that are long enough."""
        return f"clips as long as a window ({self.clip.window_seconds} s)"

    def clip_windows(self, clips: Sequence[StoredClip]) -> list[Window]:
        """The window in the middle of each clip that is as long as a window.

        A shorter one would be judged by frames of its neighbours.
        """
        windows = []
        step = self.clip.step_ns / 1e9
        least = self.clip.window_ns / 1e9 - 1e-3  # a csv gives times to the millisecond
        for clip in clips:
            last = len(self.tokens(clip.file, TENSOR)) - self.clip.num_frames
            first = round((clip.start + clip.end) / 2 / step - (self.clip.num_frames - 1) / 2)
            start, end = self._span(first)
            middle = (start + end) / 2
            if clip.end - clip.start >= least and 0 <= first <= last and clip.start <= middle < clip.end:
                windows.append(Window(clip.file, TENSOR, first, clip.labels))
        return windows

    def training_windows(self, clips: Sequence[StoredClip], teaching: Teaching) -> list[Window]:
        """Every window that shows nothing but these clips, and the same backwards."""
        partner = teaching.partner if teaching.of_backwards else None
        return self.sliding_windows(clips, lag_seconds=teaching.lag_seconds, partner=partner)

    def calibration_windows(self, clips: Sequence[StoredClip], teaching: Teaching) -> list[Window]:
        """Every third window of these clips: neighbours say much the same."""
        return self.sliding_windows(clips, lag_seconds=teaching.lag_seconds)[::3]

    def sliding_windows(
        self, clips: Sequence[StoredClip], *, lag_seconds: float, partner: Partners | None = None
    ) -> list[Window]:
        """Every window that shows nothing but these clips.

        Args:
            clips: which stretches; a window is labelled with what is going on `lag_seconds` before its end.
            lag_seconds: how long before the window's newest frame the label is read: an action that has only
                just begun cannot be told yet.
            partner: if given, every window also comes played backwards, labelled by the same rule.
        """
        windows = []
        chosen = {id(clip) for clip in clips}
        for file, all_clips in self._by_file(clips).items():
            timeline = _Timeline(all_clips, self.clip.step_ns / 1e9)
            for first in range(len(self.tokens(file, TENSOR)) - self.clip.num_frames + 1):
                start, end = self._span(first)
                shown = timeline.between(start, end)
                if not all(id(clip) in chosen for clip in shown):
                    continue
                newest = timeline.at(end - lag_seconds)
                if newest is not None:
                    windows.append(Window(file, TENSOR, first, newest.labels))
                oldest = timeline.at(start + lag_seconds)
                if partner is not None and oldest is not None:
                    turned = reversed_labels(oldest.labels, partner)
                    windows.append(Window(file, TENSOR, first, turned, backwards=True))
        return windows

    def _by_file(self, clips: Sequence[StoredClip]) -> dict[str, list[StoredClip]]:
        """All clips, in order of time, of each video that has one of these."""
        files = dict.fromkeys(clip.file for clip in clips)
        found: dict[str, list[StoredClip]] = defaultdict(list)
        for clip in self.clips:
            if clip.file in files:
                found[clip.file].append(clip)
        return {file: sorted(found[file], key=lambda clip: clip.start) for file in files}

    def _span(self, first: int) -> tuple[float, float]:
        """Times of a window's oldest and newest frame, in seconds of the video."""
        step = self.clip.step_ns / 1e9
        return first * step, (first + self.clip.num_frames - 1) * step


class _Timeline:
    """The clips of a video in order of time; each holds for a step beyond its end."""

    def __init__(self, clips: list[StoredClip], step: float) -> None:
        self._clips = clips
        self._starts = [clip.start for clip in clips]
        self._step = step

    def at(self, t: float) -> StoredClip | None:
        """What goes on at a time; before the first clip, the first."""
        clip = self._clips[max(bisect_right(self._starts, t) - 1, 0)]
        return clip if t < clip.end + self._step else None

    def between(self, start: float, end: float) -> list[StoredClip]:
        """All clips that share time with a stretch."""
        last = bisect_right(self._starts, end)
        first = max(bisect_right(self._starts, start) - 1, 0)
        return [clip for clip in self._clips[first:last] if clip.end > start]


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
