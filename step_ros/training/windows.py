"""Draws labelled windows from a token store, forwards and backwards."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor

from step_ros.training.clips_csv import LabelledClip
from step_ros.training.token_store import TokenStore

Partners = dict[str, dict[str, str]]  # task -> label -> the label of the same film played backwards


@dataclass(frozen=True)
class Window:
    """Where a window lies: frames `first` to `first` + T - 1 of `video`, and what it shows."""

    video: str
    first: int
    labels: dict[str, str]
    backwards: bool = False


def partners(pairs: dict[str, list[tuple[str, str]]]) -> Partners:
    """From nearly symmetric pairs a task, what each label becomes when the film runs backwards."""
    return {task: {a: b for pair in listed for a, b in (pair, pair[::-1])} for task, listed in pairs.items()}


def reversed_labels(labels: dict[str, str], partner: Partners) -> dict[str, str]:
    """The labels of the same window played backwards: partners swap, everything else stays."""
    return {task: partner.get(task, {}).get(label, label) for task, label in labels.items()}


def sliding_windows(
    store: TokenStore, split: str, *, lag_seconds: float, partner: Partners | None = None
) -> list[Window]:
    """Every window of a split, labelled with what is going on `lag_seconds` before its end.

    Args:
        store: where the tokens are.
        split: which clips.
        lag_seconds: how long before the window's newest frame the label is read: an action that has only just
            begun cannot be told yet.
        partner: if given, every window also comes played backwards, labelled by the same rule.
    """
    windows = []
    for video, clips in _videos(store, split):
        for first in range(len(store.tokens(video)) - store.clip.num_frames + 1):
            start, end = _span(store, first)
            windows.append(Window(video, first, _labels_at(clips, end - lag_seconds)))
            if partner is not None:
                turned = reversed_labels(_labels_at(clips, start + lag_seconds), partner)
                windows.append(Window(video, first, turned, backwards=True))
    return windows


def centred_windows(store: TokenStore, split: str, *, least_seconds: float = 1.0) -> list[Window]:
    """One window in the middle of each clip that lasts `least_seconds`: the clip-wise evaluation."""
    windows = []
    step = store.clip.step_ns / 1e9
    for video, clips in _videos(store, split):
        last = len(store.tokens(video)) - store.clip.num_frames
        for clip in clips:
            first = round((clip.start + clip.end) / 2 / step - (store.clip.num_frames - 1) / 2)
            start, end = _span(store, first)
            middle = (start + end) / 2
            if (
                clip.end - clip.start >= least_seconds
                and 0 <= first <= last
                and clip.start <= middle < clip.end
            ):
                windows.append(Window(video, first, clip.labels))
    return windows


class WindowTokens:
    """Tokens of windows, with a video's memory map opened once."""

    def __init__(self, store: TokenStore) -> None:
        self._store = store
        self._videos: dict[str, Tensor] = {}

    def __call__(self, windows: list[Window]) -> Tensor:
        """Tokens float16 (B, T, P, D) of the windows; backwards ones newest frame first."""
        return torch.stack([self._one(window) for window in windows])

    def _one(self, window: Window) -> Tensor:
        if window.video not in self._videos:
            self._videos[window.video] = self._store.tokens(window.video)
        tokens = self._videos[window.video][window.first : window.first + self._store.clip.num_frames]
        return tokens.flip(0) if window.backwards else tokens


def balanced(
    windows: list[Window], task: str, seed: int, *, power: float = 0.75
) -> Callable[[int], list[Window]]:
    """Draws batches in which a class's share is its frequency to the power of 1 - `power`."""
    labels = [window.labels[task] for window in windows]
    counts = {label: labels.count(label) for label in set(labels)}
    weights = torch.tensor([counts[label] ** -power for label in labels], dtype=torch.float64)
    generator = torch.Generator().manual_seed(seed)
    return lambda size: [
        windows[i] for i in torch.multinomial(weights, size, replacement=True, generator=generator)
    ]


def _videos(store: TokenStore, split: str) -> list[tuple[str, list[LabelledClip]]]:
    found = [(video, clips) for video, clips in store.clips.items() if clips[0].split == split]
    if not found:
        splits = sorted({clips[0].split for clips in store.clips.values()})
        raise ValueError(f"the store has no clips of split {split!r}; it has {', '.join(splits)}")
    return found


def _span(store: TokenStore, first: int) -> tuple[float, float]:
    """Times of a window's oldest and newest frame, in seconds of the video."""
    step = store.clip.step_ns / 1e9
    return first * step, (first + store.clip.num_frames - 1) * step


def _labels_at(clips: list[LabelledClip], t: float) -> dict[str, str]:
    return clips[max(bisect_right([clip.start for clip in clips], t) - 1, 0)].labels
