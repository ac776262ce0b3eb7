"""The training itself: steps, checks, checkpoints."""

from __future__ import annotations

import copy
import math
import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch
from rich.console import Console
from rich.progress import Progress, TextColumn
from torch import Tensor, nn
from torch.nn import functional as F

from step_ros.probes import Head, StepAblation
from step_ros.training.checkpoint import load_checkpoint, save_checkpoint
from step_ros.training.fit_options import FitOptions
from step_ros.training.optimizers import make_optimizer, parameter_groups
from step_ros.training.raw_patches import EncodedWindows, WindowEncoder
from step_ros.training.targets import targets_of
from step_ros.training.token_store import TokenStore
from step_ros.training.window_logits import window_logits
from step_ros.training.windows import Window, WindowTokens, balanced

PLACES = 10
"""Patch places that a training window shows: what a step costs then does not depend on the backbone."""


def run(
    by_task: dict[str, Head],
    training: Sequence[Window],
    validation: Sequence[Window],
    tokens_of: WindowTokens | EncodedWindows,
    options: FitOptions,
    checkpoints: Path | None,
    store: TokenStore,
    console: Console,
    encoder: WindowEncoder | None = None,
) -> tuple[int, list[dict[str, float]]]:
    """Train heads in place.

    Args:
        by_task: the heads.
        training: what batches are drawn from.
        validation: what they are looked at by, now and then; may be empty.
        tokens_of: where tokens come from.
        options: how.
        checkpoints: where a checkpoint is kept, the last one of the training done.
        store: what the tokens are of.
        console: where progress is shown.
        encoder: what makes tokens of the store's pixels; what of it is not frozen is trained as well.

    Returns:
        Steps taken, and at each check the step and, of each task, its training loss and, with validation
        clips, their loss and accuracy.
    """
    tasks = list(by_task)
    trainer, rank = _distributed()
    device = options.device if trainer is None else trainer.device
    heads = _Heads(by_task, encoder).to(device)
    # Frozen weights are shared: they are the same in both.
    best = copy.deepcopy(heads, {id(p): p for p in heads.parameters() if not p.requires_grad})
    looked_at_by = tokens_of
    if encoder is not None and isinstance(tokens_of, WindowTokens):
        looked_at_by = EncodedWindows(tokens_of, encoder)
    groups = parameter_groups(by_task.values(), options.weight_decay, options.learning_rate)
    if encoder is not None:
        groups += parameter_groups([encoder], options.weight_decay, options.adapter.learning_rate)
    optimizer = make_optimizer(options.optimizer, groups)
    generator = torch.Generator().manual_seed(options.seed + 1_000_003 * rank)
    draw = balanced(training, tasks[0], generator, power=options.balance)
    about = {
        "options": options.to_json(),
        "tasks": tasks,
        "store": [str(store.root), store.backbone.sha256, len(training)],
    }
    modules: dict[str, nn.Module] = {"heads": heads, "best": best}
    state = _State()
    resumed = load_checkpoint(checkpoints, about, modules, optimizer, generator) if checkpoints else None
    if resumed is not None:
        state = _State(resumed[0], **resumed[1])
        console.print(f"going on from step {state.step}")
    model: nn.Module = heads
    if trainer is not None:
        model, optimizer = trainer.prepare(heads, optimizer)
    writer = _tensorboard(options.tensorboard)
    columns = (*Progress.get_default_columns(), TextColumn("{task.fields[state]}"))
    with Progress(*columns, console=console, disable=rank > 0) as bar:
        shown = bar.add_task("Fitting heads", total=options.steps, completed=state.step, state="")
        while state.step < options.steps:
            for group in optimizer.param_groups:
                group["lr"] = group["peak"] * warm_up_and_cosine(state.step, options.steps)
            losses = _losses(
                model, by_task, draw, tokens_of, generator, options, device, store.views, encoder is None
            )
            total = torch.stack(list(losses.values())).sum()
            optimizer.zero_grad(set_to_none=True)
            total.backward() if trainer is None else trainer.backward(total)
            optimizer.step()
            state.step += 1
            if state.step % 10 == 0 or state.step == options.steps:
                text = " ".join(f"{task} {loss:.3f}" for task, loss in losses.items())
                bar.update(shown, completed=state.step, state=text)
            if state.step % options.check_every and state.step < options.steps:
                continue
            values = {"step": float(state.step)}
            values |= {f"{task} loss": float(loss.detach()) for task, loss in losses.items()}
            if validation:
                values |= _validate(by_task, validation, looked_at_by)
                if state.improves(sum(values[f"{task} validation loss"] for task in tasks)):
                    best.load_state_dict(heads.state_dict())
            state.curve.append(values)
            for name, value in values.items():
                if writer is not None and name != "step":
                    writer.add_scalar(name.replace(" ", "/", 1), value, state.step)
            bar.console.print(_row(values, tasks))
            if checkpoints and rank == 0:
                notes = {"lowest": state.lowest, "stale": state.stale, "curve": state.curve}
                save_checkpoint(checkpoints, state.step, about, modules, optimizer, generator, notes)
            if options.patience and state.stale >= options.patience:
                bar.console.print(f"stopped: no better for {state.stale} checks")
                break
    if options.patience and validation:
        heads.load_state_dict(best.state_dict())
    if writer is not None:
        writer.close()
    return state.step, state.curve


@dataclass
class _State:
    """How far a training is."""

    step: int = 0
    lowest: float = math.inf
    """Validation loss so far."""
    stale: int = 0
    """Checks since."""
    curve: list[dict[str, float]] = field(default_factory=list)

    def improves(self, loss: float) -> bool:
        """Take note of a validation loss; whether it is the lowest."""
        better = loss < self.lowest
        self.lowest, self.stale = (loss, 0) if better else (self.lowest, self.stale + 1)
        return better


def _losses(
    model: nn.Module,
    heads: dict[str, Head],
    draw: Callable[[int], list[Window]],
    tokens_of: WindowTokens | EncodedWindows,
    generator: torch.Generator,
    options: FitOptions,
    device: str | torch.device,
    num_views: int,
    cached: bool,
) -> dict[str, Tensor]:
    """Each head's loss on one batch."""
    windows = draw(options.batch_size)
    views = torch.randint(num_views, (len(windows),), generator=generator).tolist()
    pooling = next(iter(heads.values())).pooling
    places = draw_places(pooling.num_tokens, options.token_dropout)
    # Of cached tokens only what the heads shall see is read; an encoder that is trained needs all of a frame.
    read = pooling.patches(places).flatten() if cached else None
    tokens = tokens_of(windows, views, read).to(device)
    targets = {
        task: targets_of(
            windows,
            head.config,
            time_reversal=options.time_reversal,
            reversal_penalty=options.reversal_penalty,
        )
        for task, head in heads.items()
    }
    other, share = torch.arange(len(windows)), 1.0
    if options.mixup > 0:
        share = float(torch.distributions.Beta(options.mixup, options.mixup).sample())
        other = torch.randperm(len(windows), generator=generator)
        tokens = tokens.float().lerp(tokens[other].float(), 1 - share)
    kind = torch.device(device).type
    with torch.autocast(kind, torch.bfloat16, enabled=options.precision == "bfloat16"):
        logits = model(tokens, places)
    losses = {}
    for task, rows in logits.items():
        target, weight = (part.to(device) for part in targets[task])
        loss = share * _cross_entropy(rows, target, weight, options.label_smoothing)
        if share < 1:
            loss = loss + (1 - share) * _cross_entropy(
                rows, target[other], weight[other], options.label_smoothing
            )
        losses[task] = loss
    return losses


def _cross_entropy(logits: Tensor, targets: Tensor, weights: Tensor, smoothing: float) -> Tensor:
    losses = F.cross_entropy(logits.float(), targets, label_smoothing=smoothing, reduction="none")
    return (losses * weights).sum() / len(weights)


def _validate(
    heads: dict[str, Head], validation: Sequence[Window], tokens_of: WindowTokens | EncodedWindows
) -> dict[str, float]:
    values = {}
    for task, head in heads.items():
        head.eval()
        logits, targets = window_logits(head, validation, tokens_of)
        head.train()
        if len(targets):
            values[f"{task} validation loss"] = float(F.cross_entropy(logits, targets))
            values[f"{task} validation accuracy"] = float((logits.argmax(-1) == targets).float().mean())
        else:
            values[f"{task} validation loss"] = 0.0
    return values


def _row(values: dict[str, float], tasks: Sequence[str]) -> str:
    parts = []
    for task in tasks:
        accuracy = values.get(f"{task} validation accuracy")
        held_out = "" if accuracy is None else f", validation accuracy {accuracy:.3f}"
        parts.append(f"{task} loss {values[f'{task} loss']:.3f}{held_out}")
    return f"step {values['step']:.0f}: " + "; ".join(parts)


def draw_places(count: int, dropout: float | None) -> Tensor:
    """The random places, of `count`, whose tokens a batch shows; without a `dropout`, `PLACES` of them.

    The same in every frame: what moves is then still seen to move.
    """
    kept = min(count, PLACES) if dropout is None else max(1, round(count * (1 - dropout)))
    return torch.randperm(count)[:kept]


def warm_up_and_cosine(step: int, steps: int) -> float:
    """Factor of the learning rate at a step: up over the first tenth, then down by a cosine to 0."""
    warm = max(1, steps // 10)
    if step < warm:
        return (step + 1) / warm
    return 0.5 * (1 + math.cos(math.pi * (step - warm) / max(1, steps - warm)))


class _Heads(nn.Module):
    """All heads as one module, so that one forward pass serves them all."""

    def __init__(self, heads: dict[str, Head], encoder: WindowEncoder | None) -> None:
        super().__init__()
        self.heads = nn.ModuleDict(heads)
        self.encoder = encoder

    def forward(self, tokens: Tensor, places: Tensor) -> dict[str, Tensor]:
        """Logits of training windows (B, T, N·side², D), which show N pooled places.

        With an encoder they are whole frames of pixels (B, T, P, 3·p²).
        """
        first: Any = next(iter(self.heads.values()))
        if self.encoder is not None:
            tokens = self.encoder(tokens)[:, :, first.pooling.patches(places).flatten()]
        pooled = tokens.to(first.dtype).unflatten(2, (len(places), -1)).mean(3)
        logits = {}
        for task, head in self.heads.items():
            prepared = head.normalization(pooled)  # type: ignore[operator]
            probe: Any = head.probe
            logits[task] = probe(prepared, places) if isinstance(probe, StepAblation) else probe(prepared)
        return logits


def is_first_process() -> bool:
    """Whether this process, of several that train together, is the one that writes files."""
    return int(os.environ.get("RANK", "0")) == 0


def _distributed() -> tuple[Any, int]:
    """Accelerate's trainer and this process' rank, under `accelerate launch`; else None and 0."""
    if int(os.environ.get("WORLD_SIZE", "1")) < 2:
        return None, 0
    from accelerate import Accelerator

    trainer = Accelerator()
    return trainer, trainer.process_index


def _tensorboard(folder: Path | None) -> Any:
    """A writer of TensorBoard's files."""
    if folder is None:
        return None
    from torch.utils.tensorboard import SummaryWriter

    return SummaryWriter(str(folder))
