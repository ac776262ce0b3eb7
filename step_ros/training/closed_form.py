"""Fits moments heads to a lesson: a pass over its windows, and a system of equations a task."""

from __future__ import annotations

from collections import Counter
from collections.abc import Hashable, Mapping

import torch

from step_ros.probes import Head, MomentsProbe
from step_ros.probes.moments_fit import fit_moments
from step_ros.scores.verdict import Judged
from step_ros.training.fit_options import FitOptions
from step_ros.training.lesson import Lesson
from step_ros.training.window_tokens import WindowTokens
from step_ros.training.windows import DIRECTION, Window

MOST_WINDOWS = 2048
"""Windows that heads are fitted on; of more, evenly chosen ones, since neighbours say much the same."""

_BATCH = 16


@torch.no_grad()
def fit_closed_form(
    heads: Mapping[str, Head], lesson: Lesson, tokens_of: WindowTokens, options: FitOptions
) -> dict[str, Judged]:
    """Fit a moments head for each task of a lesson, each calibrated by leaving recordings out.

    Returns:
        By task the answers to the lesson's own clips, forwards, each recording's from the others alone: as
        good a judgement as clips that were kept aside give, and none need be.
    """
    windows = lesson.training[:: -(-len(lesson.training) // MOST_WINDOWS)]
    recordings: list[Hashable] = [*lesson.store.recordings(windows)]
    if len(set(recordings)) == 1:  # nothing to leave out but windows
        recordings = [(window.tensor, window.first) for window in windows]
    answers = {}
    for task, head in heads.items():
        probe = head.to(options.device).eval().probe
        assert isinstance(probe, MomentsProbe)
        targets, weights = lesson.teaching.targets(task, windows)
        taught = weights.nonzero()[:, 0].tolist()
        batches = [taught[k : k + _BATCH] for k in range(0, len(taught), _BATCH)]
        shown = (tokens_of([windows[i] for i in batch]).to(head.device) for batch in batches)
        moments = [probe.moments(head.prepare(tokens)) for tokens in shown]
        logits = fit_moments(
            *(head, torch.cat(moments).cpu(), targets[taught], [recordings[i] for i in taught]),
            accepted_accuracy=options.accepted_accuracy,
        )
        own = [k for k, i in enumerate(taught) if _says_of_itself(windows[i], task)]
        true, config = targets[taught][own], head.config
        answers[task] = Judged(
            *(logits[own].numpy(), true.numpy(), config.labels, config.symmetric_pairs),
            [recordings[taught[k]] for k in own],
            config.temperature,
            Counter(config.labels[label] for label in true.tolist()),
        )
    return answers


def _says_of_itself(window: Window, task: str) -> bool:
    """Whether a window is a clip of its label, and no other's backwards; *reversed* is a label of its own."""
    return not window.backwards or (task == DIRECTION and task not in window.labels)
