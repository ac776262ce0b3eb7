"""Heads as they are before the first step: their configs, and what their weights start from."""

from __future__ import annotations

from pathlib import Path

import torch
from torch import nn

from step_ros.backbones import BackboneIdentity
from step_ros.probes import Head, HeadConfig, ProbeConfig
from step_ros.training.fit_options import FitOptions
from step_ros.training.lesson import Lesson
from step_ros.training.window_tokens import TokenSource


def new_heads(
    lesson: Lesson, backbone: BackboneIdentity, tokens_of: TokenSource, options: FitOptions
) -> dict[str, Head]:
    """A head for each task of a lesson.

    Args:
        lesson: what they will learn.
        backbone: what makes the tokens.
        tokens_of: where they come from: channels are measured on them, if they are to be normalised.
        options: what the heads are like.

    Raises:
        HeadError: one that is to be started from cannot be read.
    """
    heads = {task: Head(new_config(lesson, task, backbone, options)) for task in lesson.teaching.tasks}
    for task, head in heads.items():
        position = getattr(head.probe, "position", None)
        if isinstance(position, nn.Parameter):
            nn.init.normal_(position, std=options.position_std)
        if options.normalization == "channel":
            _measure_channels(head, lesson, tokens_of)
        if options.start is not None:
            start_from(head, options.start / task, options.start / next(iter(lesson.store.tasks)))
    return heads


def new_config(lesson: Lesson, task: str, backbone: BackboneIdentity, options: FitOptions) -> HeadConfig:
    """The config of a head that answers a task of a lesson on a backbone."""
    about, dim = lesson.teaching.tasks[task], backbone.dim
    return HeadConfig(
        task=task,
        labels=tuple(about.labels),
        symmetric_pairs=tuple(about.symmetric_pairs),
        idle_label=about.idle,
        clip=lesson.store.clip,
        probe=ProbeConfig(
            dim=dim,
            num_heads=next(h for h in range(min(options.num_heads, dim), 0, -1) if dim % h == 0),
            kind=options.probe,
            normalization=options.normalization,
            token_pooling=options.token_pooling,
            options=options.step,
        ),
        backbone=backbone,
    )


def start_from(head: Head, own: Path, other: Path) -> None:
    """Start `head` from the one in folder `own`, or, where there is none, from the attention of `other`.

    Raises:
        HeadError: neither can be read.
        RuntimeError: the head's sizes are others.
    """
    if own.is_dir():
        head.load_state_dict(Head.from_pretrained(own).state_dict())
    else:
        state = Head.from_pretrained(other).state_dict()
        kept = {name: tensor for name, tensor in state.items() if "classifier" not in name}
        head.load_state_dict(kept, strict=False)


def _measure_channels(head: Head, lesson: Lesson, tokens_of: TokenSource) -> None:
    """Set mean and deviation of each channel, over some 256 training windows."""
    sample = lesson.training[:: max(1, len(lesson.training) // 256)]
    flat = torch.cat([head.pooling(tokens_of([w]).float()).flatten(0, 2) for w in sample])
    head.normalization.fit(flat.mean(0), flat.std(0))
