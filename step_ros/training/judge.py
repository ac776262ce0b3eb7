"""Judges a head on clips of a token store, forwards and backwards."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any

import torch

from step_ros.backbones import Backbone
from step_ros.probes import Head
from step_ros.scores import classes as class_scores
from step_ros.scores import clips as clip_scores
from step_ros.scores.classes import ClassReport
from step_ros.scores.clips import ClipScores
from step_ros.scores.verdict import Judged
from step_ros.training.store import StoredClip, TokenStore
from step_ros.training.window_tokens import read_windows, window_logits
from step_ros.training.windows import DIRECTION, FORWARD, label_of


class JudgeError(ValueError):
    """Heads and clips do not go together, or there are none; the message says what there is."""


@dataclass(frozen=True)
class Judgement:
    """What a head is worth on some clips."""

    metrics: ClipScores
    report: ClassReport
    judged: Judged
    """The answers themselves."""
    too_short: list[str]
    """Names of the clips that no window lies in; see `TokenStore.without_window`."""
    unknown: list[str]
    """Names of the clips whose label the head does not have."""

    def to_json(self) -> dict[str, Any]:
        """Metrics, report, and which clips were left out, in one JSON object."""
        left_out = {"too_short": self.too_short, "unknown": self.unknown}
        return {**self.metrics.to_json(), **asdict(self.report), "left_out": left_out}


def judge(
    head: Head, store: TokenStore, clips: Sequence[StoredClip], backbone: Backbone | None = None
) -> Judgement:
    """Judge a head on clips; those that it cannot be judged by are left out, by name.

    Args:
        head: what is judged.
        store: whose clips.
        clips: which of them.
        backbone: what makes tokens of the store's pixels, where it holds those.

    Raises:
        HeadError: the head is of another backbone than the store, or than `backbone`.
        JudgeError: there are no clips to judge, or the head sees another number of frames than the store has.
    """
    head.check_backbone(store.backbone if backbone is None else backbone.identity)
    config = head.config
    if config.clip.num_frames != store.clip.num_frames:
        raise JudgeError(
            f"head {config.task!r} sees {config.clip.num_frames} frames, but clips of {store.root} have "
            f"{store.clip.num_frames}; extract with --frames {config.clip.num_frames}"
        )
    too_short = store.without_window(clips)
    windows = store.clip_windows(clips)
    direction = config.task == DIRECTION and DIRECTION not in store.tasks
    if direction:
        windows = [replace(window, labels={**window.labels, DIRECTION: FORWARD}) for window in windows]
    tokens_of = read_windows(store, backbone)
    logits, targets = window_logits(head, windows, tokens_of)
    if len(targets) == 0:
        raise JudgeError(
            f"{store.root} has no {store.what_is_judged} with labels of {config.task!r} to judge"
        )
    turned, _ = window_logits(head, [replace(window, backwards=True) for window in windows], tokens_of)
    about = (targets.numpy(), config.labels, config.symmetric_pairs)
    metrics = clip_scores.evaluate(
        logits.numpy(), turned.numpy(), *about, temperature=config.temperature, direction=direction
    )
    report = class_scores.evaluate(logits.numpy(), *about, temperature=config.temperature)
    known = [window for window in windows if label_of(window, config.task) in config.labels]
    answers, recordings = (logits.numpy(), *about), store.recordings(known)
    if direction:  # of which clips forwards are only half
        both = torch.cat([logits, turned]).numpy(), torch.cat([targets, 1 - targets]).numpy()
        answers, recordings = (*both, *about[1:]), recordings * 2
    judged = Judged(*answers, recordings, config.temperature)
    unknown = [clip for clip in clips if clip.labels.get(config.task, config.labels[0]) not in config.labels]
    left_out = ([clip.name for clip in each] for each in (too_short, unknown))
    return Judgement(metrics, report, judged, *left_out)
