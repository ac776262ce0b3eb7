"""Fits moments heads to a lesson: a pass over its windows, and a system of equations a task."""

from __future__ import annotations

from collections.abc import Hashable, Mapping, Sequence

import torch

from step_ros.probes import Head, MomentsProbe
from step_ros.probes.moments_fit import fit_moments
from step_ros.training.fit_options import FitOptions
from step_ros.training.lesson import Lesson
from step_ros.training.store import TokenStore
from step_ros.training.window_tokens import WindowTokens
from step_ros.training.windows import Window

MOST_WINDOWS = 2048
"""Windows that heads are fitted on; of more, evenly chosen ones, since neighbours say much the same."""

_BATCH = 16


@torch.no_grad()
def fit_closed_form(
    heads: Mapping[str, Head], lesson: Lesson, tokens_of: WindowTokens, options: FitOptions
) -> None:
    """Fit a moments head for each task of a lesson, each calibrated by leaving recordings out."""
    windows = lesson.training[:: -(-len(lesson.training) // MOST_WINDOWS)]
    recordings = _recordings(lesson.store, windows)
    for task, head in heads.items():
        probe = head.to(options.device).eval().probe
        assert isinstance(probe, MomentsProbe)
        targets, weights = lesson.teaching.targets(task, windows)
        taught = weights.nonzero()[:, 0].tolist()
        batches = [taught[k : k + _BATCH] for k in range(0, len(taught), _BATCH)]
        shown = (tokens_of([windows[i] for i in batch]).to(head.device) for batch in batches)
        moments = [probe.moments(head.prepare(tokens)) for tokens in shown]
        fit_moments(
            *(head, torch.cat(moments).cpu(), targets[taught], [recordings[i] for i in taught]),
            accepted_accuracy=options.accepted_accuracy,
        )


def _recordings(store: TokenStore, windows: Sequence[Window]) -> list[Hashable]:
    """The group of each window, or where there are none its video; in a single one each window is alone."""
    group_of = {clip.file: clip.group or clip.file for clip in store.clips}
    recordings: list[Hashable] = [group_of[window.file] for window in windows]
    if len(set(recordings)) > 1:
        return recordings
    return [(window.file, window.tensor, window.first) for window in windows]
