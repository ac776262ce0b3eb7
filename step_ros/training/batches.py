"""Draws the batches of a training: which windows, what of them is seen, and what they teach."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from step_ros.training.fit_options import FitOptions
from step_ros.training.heads import TaskHeads
from step_ros.training.lesson import Lesson
from step_ros.training.window_tokens import WindowTokens
from step_ros.training.windows import Window

PLACES = 10
"""Patch places that a training window shows: what a step costs then does not depend on the backbone."""


@dataclass(frozen=True)
class Expected:
    """What one head is to say of a batch."""

    labels: Tensor
    """(B,) indices."""
    weights: Tensor
    """(B,) how much each counts."""
    share: float = 1.0
    """How much of the batch shows this; mixed windows show two things."""


@dataclass(frozen=True)
class Batch:
    """What one step is taken on."""

    tokens: Tensor
    """(B, T, N·side², D), or whole frames (B, T, P, ...) where heads read all patches."""
    places: Tensor
    """(N,) which pooled places are seen."""
    targets: dict[str, list[Expected]]
    """By task; of a window that is mixed of two, both."""


class Batches:
    """An endless supply.

    Args:
        lesson: whose training windows are drawn.
        tokens_of: where tokens come from.
        options: how they are drawn.
        process_index: which of the processes that train together this is; each draws others.
    """

    def __init__(
        self, lesson: Lesson, tokens_of: WindowTokens, options: FitOptions, *, process_index: int = 0
    ) -> None:
        self.generator = torch.Generator().manual_seed(options.seed + 1_000_003 * process_index)
        self._teaching = lesson.teaching
        self._views = lesson.store.views
        self._tokens_of = tokens_of
        self._options = options
        first = next(iter(lesson.teaching.tasks))
        self._windows = balanced(lesson.training, first, self.generator, power=options.balance)

    def draw(self, heads: TaskHeads) -> Batch:
        """The next batch, for these heads and where they are."""
        windows = self._windows(self._options.batch_size)
        views = torch.randint(self._views, (len(windows),), generator=self.generator).tolist()
        places = draw_places(heads.pooling.num_tokens, self._options.token_dropout)
        tokens = self._tokens_of(windows, views, heads.patches_read(places)).to(heads.device)
        targets = {}
        for task in self._teaching.tasks:
            labels, weights = self._teaching.targets(task, windows)
            targets[task] = [Expected(labels.to(heads.device), weights.to(heads.device))]
        batch = Batch(tokens, places, targets)
        return self._mixed(batch) if self._options.mixup > 0 else batch

    def _mixed(self, batch: Batch) -> Batch:
        """Each window mixed with another one of the batch (Zhang et al., ICLR 2018)."""
        share = float(torch.distributions.Beta(self._options.mixup, self._options.mixup).sample())
        other = torch.randperm(len(batch.tokens), generator=self.generator)
        tokens = batch.tokens.float().lerp(batch.tokens[other].float(), 1 - share)
        targets = {
            task: [
                Expected(own.labels, own.weights, share),
                Expected(own.labels[other], own.weights[other], 1 - share),
            ]
            for task, (own,) in batch.targets.items()
        }
        return Batch(tokens, batch.places, targets)


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


def draw_places(count: int, dropout: float | None) -> Tensor:
    """The random places, of `count`, whose tokens a batch shows; without a `dropout`, `PLACES` of them.

    The same in every frame: what moves is then still seen to move.
    """
    kept = min(count, PLACES) if dropout is None else max(1, round(count * (1 - dropout)))
    return torch.randperm(count)[:kept]
