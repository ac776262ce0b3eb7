"""The training loop: steps, checks, checkpoints."""

from __future__ import annotations

import copy
import logging
import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch
from rich.console import Console
from torch import Tensor, nn
from torch.nn import functional as F

from step_ros.backbones.finite_weights import not_finite
from step_ros.training.batches import Batch, Batches
from step_ros.training.checkpoint import Checkpoint, trained_state
from step_ros.training.display import Display
from step_ros.training.fit_options import FitOptions
from step_ros.training.heads import TaskHeads
from step_ros.training.lesson import Lesson
from step_ros.training.optimizers import make_optimizer
from step_ros.training.processes import join_processes
from step_ros.training.window_tokens import WindowTokens, window_logits

_log = logging.getLogger(__name__)


class DivergedError(RuntimeError):
    """A training ended in what is no number; the message says when, and what is kept."""


@dataclass
class TrainingState:
    """How far a training is."""

    step: int = 0
    """Optimiser steps taken."""
    lowest: float = math.inf
    """Validation loss so far."""
    stale: int = 0
    """Checks since."""
    curve: list[dict[str, float]] = field(default_factory=list)
    """At each check: step, and of each task its training loss and, with validation windows, their loss and
    accuracy."""
    diverged_at: int | None = None
    """The check at which there were no numbers any more: `step` is the one before, whose weights are kept."""

    @property
    def notes(self) -> dict[str, Any]:
        """All but the step, for a checkpoint."""
        return {"lowest": self.lowest, "stale": self.stale, "curve": self.curve}

    def improves(self, loss: float) -> bool:
        """Take note of a validation loss; whether it is the lowest."""
        better = loss < self.lowest
        self.lowest, self.stale = (loss, 0) if better else (self.lowest, self.stale + 1)
        return better

    def stopped(self, options: FitOptions) -> bool:
        """Whether the validation loss has not fallen for too long."""
        return 0 < options.patience <= self.stale


def train(
    heads: TaskHeads,
    lesson: Lesson,
    tokens_of: WindowTokens,
    options: FitOptions,
    *,
    checkpoints: Path | None,
    console: Console,
) -> TrainingState:
    """Train heads in place; what the folder `checkpoints` has of this very training is gone on from.

    Raises:
        DivergedError: weights or losses became infinite or NaN before there was a check at which they were
            numbers.
    """
    processes = join_processes(options.device)
    heads.to(processes.device)
    # Frozen weights are shared: they are the same in both.
    best = copy.deepcopy(heads, {id(p): p for p in heads.parameters() if not p.requires_grad})
    optimizer = make_optimizer(options.optimizer, heads.parameter_groups(options))
    batches = Batches(lesson, tokens_of, options, process_index=processes.process_index)
    about = {
        "options": options.to_json(),
        "tasks": list(lesson.teaching.tasks),
        "store": [str(lesson.store.root), lesson.store.backbone.sha256, len(lesson.training)],
        "trained": list(trained_state(heads)),  # heads with a text side have other weights than plain ones
    }
    modules = {"heads": heads, "best": best}
    checkpoint = Checkpoint(checkpoints, about, modules, optimizer, batches.generator)
    step, notes = checkpoint.load()
    good_step = step
    state = TrainingState(step, **notes)
    if step:
        console.print(f"going on from step {step}")
    good = _kept(heads) if step else {}
    model, optimizer = processes.prepare(heads, optimizer)
    with Display(options, console, step=step, hidden=processes.process_index > 0) as display:
        while state.step < options.steps and not state.stopped(options):
            for group in optimizer.param_groups:
                group["lr"] = group["peak"] * warm_up_and_cosine(state.step, options.steps)
            losses = losses_of(model, batches.draw(heads), options)
            optimizer.zero_grad(set_to_none=True)
            processes.backward(torch.stack(list(losses.values())).sum())
            optimizer.step()
            state.step += 1
            display.show_step(state.step, losses)
            if state.step % options.check_every == 0 or state.step == options.steps:
                values = {"step": float(state.step)}
                values |= {f"{task} loss": float(loss.detach()) for task, loss in losses.items()}
                if lesson.validation:
                    values |= validation_values(heads, lesson, heads.read_by_each(tokens_of))
                    if state.improves(sum(values[f"{task} validation loss"] for task in losses)):
                        best.load_state_dict(heads.state_dict())
                if not _numbers(heads, values):
                    state.diverged_at = state.step
                    break
                good, good_step = _kept(heads), state.step
                state.curve.append(values)
                display.show_check(values, losses)
                checkpoint.save(state.step, state.notes)
    if state.diverged_at is not None:
        if not good:
            raise DivergedError(
                f"the training diverged: at step {state.step} weights or losses are infinite or no numbers; "
                "nothing is kept; train again with a smaller --learning-rate"
            )
        heads.load_state_dict({**heads.state_dict(), **good})
        state.step = good_step
        _log.warning(
            "the training diverged: at step %d weights or losses are infinite or no numbers; what was learnt "
            "up to step %d is kept. Train again with a smaller --learning-rate",
            *(state.diverged_at, state.step),
        )
    if state.stopped(options):
        console.print(f"stopped: no better for {state.stale} checks")
    if options.patience and lesson.validation:
        heads.load_state_dict(best.state_dict())
    return state


def _kept(heads: TaskHeads) -> dict[str, Tensor]:
    """What is trained, as it is now."""
    return {name: tensor.detach().clone() for name, tensor in trained_state(heads).items()}


def _numbers(heads: TaskHeads, values: Mapping[str, float]) -> bool:
    """Whether all of a check is numbers; of several processes, all have the same weights."""
    return all(map(math.isfinite, values.values())) and not not_finite(trained_state(heads).items())


def losses_of(model: nn.Module, batch: Batch, options: FitOptions) -> dict[str, Tensor]:
    """Each head's loss on one batch."""
    kind = batch.tokens.device.type
    with torch.autocast(kind, torch.bfloat16, enabled=options.precision == "bfloat16"):
        logits: dict[str, Tensor] = model(batch.tokens, batch.places)
    losses = {}
    for task, rows in logits.items():
        shares = []
        for target in batch.targets[task]:
            each = F.cross_entropy(
                rows.float(), target.labels, label_smoothing=options.label_smoothing, reduction="none"
            )
            shares.append(target.share * ((each * target.weights).sum() / len(each)))
        losses[task] = torch.stack(shares).sum()
    return losses


def validation_values(heads: TaskHeads, lesson: Lesson, tokens_of: WindowTokens) -> dict[str, float]:
    """Loss and accuracy of each head on the validation windows; where none has a label, a loss of 0."""
    values = {}
    for task, head in heads.by_task.items():
        head.eval()
        logits, targets = window_logits(head, lesson.validation, tokens_of)
        head.train()
        if len(targets):
            values[f"{task} validation loss"] = float(F.cross_entropy(logits, targets))
            values[f"{task} validation accuracy"] = float((logits.argmax(-1) == targets).float().mean())
        else:
            values[f"{task} validation loss"] = 0.0
    return values


def warm_up_and_cosine(step: int, steps: int) -> float:
    """Factor of the learning rate at a step: up over the first tenth, then down by a cosine to 0."""
    warm = max(1, steps // 10)
    if step < warm:
        return (step + 1) / warm
    return 0.5 * (1 + math.cos(math.pi * (step - warm) / max(1, steps - warm)))
