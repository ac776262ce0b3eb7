"""The heads of all tasks: new ones, and as one module, which one forward pass of a batch serves."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from step_ros.backbones import BackboneIdentity
from step_ros.probes import Head, HeadConfig, ProbeConfig, StepAblation
from step_ros.probes.token_pooling import TokenPooling
from step_ros.training.fit_options import FitOptions
from step_ros.training.lesson import Lesson
from step_ros.training.optimizers import parameter_groups
from step_ros.training.window_tokens import WindowTokens


class TaskHeads(nn.Module):
    """The heads of all tasks, on tokens that are what they are.

    Args:
        heads: by task; they pool tokens alike.
    """

    def __init__(self, heads: dict[str, Head]) -> None:
        super().__init__()
        self.heads = nn.ModuleDict(heads)

    def forward(self, tokens: Tensor, places: Tensor) -> dict[str, Tensor]:
        """Logits (B, K) by task, of training windows (B, T, N·side², D) that show N pooled places."""
        pooled = tokens.to(self._first.dtype).unflatten(2, (len(places), -1)).mean(3)
        logits = {}
        for task, head in self.by_task.items():
            prepared, probe = head.normalization(pooled), head.probe
            logits[task] = probe(prepared, places) if isinstance(probe, StepAblation) else probe(prepared)
        return logits

    def patches_read(self, places: Tensor) -> Tensor | None:
        """The patches that `forward` has to be given to see pooled places (N,); None stands for all."""
        return self.pooling.patches(places).flatten()

    def read_by_each(self, batches: WindowTokens) -> WindowTokens:
        """Where a single head finds the tokens of windows, if batches of all come from there."""
        return batches

    def parameter_groups(self, options: FitOptions) -> list[dict[str, Any]]:
        """What is trained, as optimizers take it."""
        return parameter_groups(self.by_task.values(), options.weight_decay, options.learning_rate)

    @property
    def by_task(self) -> dict[str, Head]:
        """The heads."""
        return dict(self.heads.items())  # type: ignore[arg-type]  # a ModuleDict knows only modules

    @property
    def pooling(self) -> TokenPooling:
        """How all of them pool tokens."""
        return self._first.pooling

    @property
    def device(self) -> torch.device:
        """Where they are."""
        return self._first.device

    @property
    def _first(self) -> Head:
        return next(iter(self.by_task.values()))


def new_heads(
    lesson: Lesson, backbone: BackboneIdentity, tokens_of: WindowTokens, options: FitOptions
) -> dict[str, Head]:
    """A head for each task of a lesson; channels, if they are to be normalised, are measured on `tokens_of`.

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


def _measure_channels(head: Head, lesson: Lesson, tokens_of: WindowTokens) -> None:
    """Set mean and deviation of each channel, over some 256 training windows."""
    sample = lesson.training[:: max(1, len(lesson.training) // 256)]
    flat = torch.cat([head.pooling(tokens_of([w]).float()).flatten(0, 2) for w in sample])
    head.normalization.fit(flat.mean(0), flat.std(0))
