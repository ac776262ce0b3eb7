"""All heads as one module: one forward pass of a batch serves them all."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn

from step_ros.probes import Head, StepAblation
from step_ros.probes.token_pooling import TokenPooling
from step_ros.training.fit_options import FitOptions
from step_ros.training.optimizers import parameter_groups
from step_ros.training.window_tokens import TokenSource


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

    def read_by_each(self, batches: TokenSource) -> TokenSource:
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
