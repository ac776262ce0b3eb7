"""Labelled windows of a token store, forwards and backwards: what heads are trained on and judged by."""

from __future__ import annotations

from bisect import bisect_right
from collections import defaultdict
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import torch
from torch import Tensor

from step_ros.training.datasets import TaskLabels
from step_ros.training.token_store import GRID_TENSOR, StoredClip, TokenStore

Partners = dict[str, dict[str, str]]  # task -> label -> the label of the same film played backwards

DIRECTION = "direction"
FORWARD, REVERSED = "forward", "reversed"


@dataclass(frozen=True)
class Window:
    """Where a window lies: frames `first` to `first` + T - 1 of a tensor of the store, and what it shows."""

    video: str
    """The video's file in the store."""
    first: int
    labels: dict[str, str]
    """Task to label; what it says nothing of is missing."""
    backwards: bool = False
    tensor: str = GRID_TENSOR
    clip: str = ""
    """Name of the clip."""


def tasks_of(store: TokenStore) -> dict[str, TaskLabels]:
    """The store's tasks, and the one that every clip has: whether it runs forwards or is reversed."""
    built_in = TaskLabels([FORWARD, REVERSED], [(FORWARD, REVERSED)])
    return {DIRECTION: built_in, **store.tasks}


def partners(pairs: dict[str, list[tuple[str, str]]]) -> Partners:
    """From nearly symmetric pairs a task, what each label becomes when the film runs backwards."""
    return {task: {a: b for pair in listed for a, b in (pair, pair[::-1])} for task, listed in pairs.items()}


def reversed_labels(labels: dict[str, str], partner: Partners) -> dict[str, str]:
    """The labels of the same window played backwards: partners swap, everything else stays."""
    return {task: partner.get(task, {}).get(label, label) for task, label in labels.items()}


def sliding_windows(
    store: TokenStore, clips: Sequence[StoredClip], *, lag_seconds: float, partner: Partners | None = None
) -> list[Window]:
    """Every window of a grid store that shows nothing but these clips.

    Args:
        store: where the tokens are.
        clips: which stretches; a window is labelled with what is going on `lag_seconds` before its end.
        lag_seconds: how long before the window's newest frame the label is read: an action that has only just
            begun cannot be told yet.
        partner: if given, every window also comes played backwards, labelled by the same rule.
    """
    windows = []
    chosen = {id(clip) for clip in clips}
    for video, all_clips in _by_video(store, clips).items():
        timeline = _Timeline(all_clips, store.clip.step_ns / 1e9)
        for first in range(len(store.tokens(video)) - store.clip.num_frames + 1):
            start, end = _span(store, first)
            shown = timeline.between(start, end)
            if not all(id(clip) in chosen for clip in shown):
                continue
            newest = timeline.at(end - lag_seconds)
            if newest is not None:
                windows.append(Window(video, first, newest.labels, clip=newest.name))
            oldest = timeline.at(start + lag_seconds)
            if partner is not None and oldest is not None:
                turned = reversed_labels(oldest.labels, partner)
                windows.append(Window(video, first, turned, backwards=True, clip=oldest.name))
    return windows


def clip_windows(store: TokenStore, clips: Sequence[StoredClip]) -> list[Window]:
    """One window a clip: the clip-wise evaluation, and what a clip store is trained on.

    Of a grid store it is the window in the middle of each clip that is as long as a window; a shorter one
    would be judged by frames of its neighbours.
    """
    if store.sampling == "clip":
        return [Window(clip.file, 0, clip.labels, tensor=clip.tensor, clip=clip.name) for clip in clips]
    windows = []
    step = store.clip.step_ns / 1e9
    least = store.clip.window_ns / 1e9 - 1e-3  # a csv gives times to the millisecond
    for clip in clips:
        last = len(store.tokens(clip.file)) - store.clip.num_frames
        first = round((clip.start + clip.end) / 2 / step - (store.clip.num_frames - 1) / 2)
        start, end = _span(store, first)
        middle = (start + end) / 2
        if clip.end - clip.start >= least and 0 <= first <= last and clip.start <= middle < clip.end:
            windows.append(Window(clip.file, first, clip.labels, clip=clip.name))
    return windows


def with_direction(windows: Sequence[Window]) -> list[Window]:
    """The windows with a label of the built-in task `direction`, and each of them backwards."""
    return [
        replace(window, backwards=backwards, labels={**window.labels, DIRECTION: label})
        for window in windows
        for backwards, label in ((False, FORWARD), (True, REVERSED))
    ]


class WindowTokens:
    """Tokens of windows."""

    def __init__(self, store: TokenStore) -> None:
        self._store = store

    def __call__(
        self, windows: Sequence[Window], views: Sequence[int] | None = None, patches: Tensor | None = None
    ) -> Tensor:
        """Tokens float16 (B, T, P, D) of the windows; backwards ones newest frame first.

        Args:
            windows: B of them.
            views: which view of each; the first by default.
            patches: indices of the patches that are read; all by default.
        """
        chosen = [0] * len(windows) if views is None else views
        return torch.stack([self._one(*pair, patches) for pair in zip(windows, chosen, strict=True)])

    def _one(self, window: Window, view: int, patches: Tensor | None) -> Tensor:
        tokens = self._store.tokens(window.video, window.tensor, view)
        tokens = tokens[window.first : window.first + self._store.clip.num_frames]
        tokens = tokens if patches is None else tokens[:, patches]
        return tokens.flip(0) if window.backwards else tokens


def balanced(
    windows: Sequence[Window], task: str, generator: torch.Generator, *, power: float = 0.75
) -> Callable[[int], list[Window]]:
    """Draws batches in which a class's share is its frequency to the power of 1 - `power`."""
    labels = [window.labels.get(task, "") for window in windows]
    counts = {label: labels.count(label) for label in set(labels)}
    weights = torch.tensor([counts[label] ** -power for label in labels], dtype=torch.float64)
    return lambda size: [
        windows[i] for i in torch.multinomial(weights, size, replacement=True, generator=generator)
    ]


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


def _by_video(store: TokenStore, clips: Sequence[StoredClip]) -> dict[str, list[StoredClip]]:
    """All clips, in order of time, of each video that has one of these."""
    videos = dict.fromkeys(clip.file for clip in clips)
    found: dict[str, list[StoredClip]] = defaultdict(list)
    for clip in store.clips:
        if clip.file in videos:
            found[clip.file].append(clip)
    return {video: sorted(found[video], key=lambda clip: clip.start) for video in videos}


def _span(store: TokenStore, first: int) -> tuple[float, float]:
    """Times of a window's oldest and newest frame, in seconds of the video."""
    step = store.clip.step_ns / 1e9
    return first * step, (first + store.clip.num_frames - 1) * step
