"""Fits one head a task on cached tokens: all heads read the same batches."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import torch
from rich.progress import Progress, TextColumn
from torch import Tensor, nn
from torch.nn import functional as F

from step_ros.probes import Head, HeadConfig, ProbeConfig
from step_ros.training.calibration import fit_temperature
from step_ros.training.token_store import TokenStore
from step_ros.training.windows import (
    Window,
    WindowTokens,
    balanced,
    centred_windows,
    partners,
    sliding_windows,
)


@dataclass(frozen=True)
class FitOptions:
    """How heads are fitted."""

    steps: int = 1500
    """Optimiser steps."""
    batch_size: int = 64
    """Windows a step."""
    learning_rate: float = 2e-3
    """Peak of the one-cycle schedule."""
    weight_decay: float = 0.05
    """AdamW's."""
    label_smoothing: float = 0.1
    """Share of the target spread over all classes."""
    token_dropout: float = 0.7
    """Share of patch places left out of a training window: regularises, and costs far less."""
    num_heads: int = 6
    """H, attention heads of the probe."""
    normalization: str = "layer_norm"
    """Token normalisation: none, layer_norm or channel."""
    time_reversal: bool = True
    """Whether a window also comes backwards, as a window of the partner class."""
    lag_seconds: float = 0.2
    """A window's label is what goes on this long before its end."""
    seed: int = 0
    """Of everything random."""
    start: Path | None = None
    """A folder of heads to start from: a task's own head, or else the attention of the first task's."""


def fit(store: TokenStore, tasks: Sequence[str], options: FitOptions) -> dict[str, Head]:
    """Train a head a task on the store's train split; temperatures are fitted on its validation split.

    Raises:
        ValueError: the store lacks a split or a task.
    """
    torch.manual_seed(options.seed)
    unknown = [task for task in tasks if task not in store.tasks]
    if unknown:
        raise ValueError(f"the store has no task {', '.join(unknown)}; it has {', '.join(store.tasks)}")
    pairs = {task: store.tasks[task].symmetric_pairs for task in tasks}
    partner = partners(pairs) if options.time_reversal else None
    training = sliding_windows(store, "train", lag_seconds=options.lag_seconds, partner=partner)
    validation = centred_windows(store, "validation")
    heads = {task: Head(head_config(store, task, options)) for task in tasks}
    if options.start is not None:
        for task, head in heads.items():
            start_from(head, options.start / task, options.start / next(iter(store.tasks)))
    draw = balanced(training, tasks[0], options.seed)
    tokens_of = WindowTokens(store)
    optimizer = torch.optim.AdamW(_parameter_groups(heads, options.weight_decay), lr=options.learning_rate)
    schedule = torch.optim.lr_scheduler.OneCycleLR(
        optimizer, options.learning_rate, options.steps, pct_start=0.1
    )
    with Progress(*Progress.get_default_columns(), TextColumn("{task.fields[state]}")) as progress:
        bar = progress.add_task("Fitting heads", total=options.steps, state="")
        for step in range(options.steps):
            windows = draw(options.batch_size)
            tokens = drop_tokens(tokens_of(windows), options.token_dropout)
            losses = {}
            for task, head in heads.items():
                with torch.autocast("cpu", torch.bfloat16):
                    logits = head(tokens)
                targets = _targets(windows, head)
                losses[task] = F.cross_entropy(
                    logits.float(), targets, label_smoothing=options.label_smoothing
                )
            optimizer.zero_grad(set_to_none=True)
            torch.stack(list(losses.values())).sum().backward()
            optimizer.step()
            schedule.step()
            if step % 25 == 24 or step + 1 == options.steps:
                state = " ".join(f"{task} {loss:.3f}" for task, loss in losses.items())
                progress.update(bar, completed=step + 1, state=state)
            if step % 250 == 249:
                shares = {task: accuracy(head, validation, tokens_of) for task, head in heads.items()}
                state = " ".join(f"{task} {share:.3f}" for task, share in shares.items())
                progress.console.print(f"step {step + 1}: validation accuracy {state}")
    sliding = sliding_windows(store, "validation", lag_seconds=options.lag_seconds)[::3]
    for head in heads.values():
        logits, targets = window_logits(head, sliding, tokens_of)
        head.config = replace(head.config, temperature=fit_temperature(logits, targets))
    return {task: head.eval() for task, head in heads.items()}


def save_heads(heads: dict[str, Head], out: Path) -> None:
    """Write a model folder a task under `out`."""
    for task, head in heads.items():
        head.save_pretrained(out / task)


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


def head_config(store: TokenStore, task: str, options: FitOptions) -> HeadConfig:
    """The config of a head of `task` on the store's backbone."""
    return HeadConfig(
        task=task,
        labels=tuple(store.tasks[task].labels),
        symmetric_pairs=tuple(store.tasks[task].symmetric_pairs),
        idle_label=store.tasks[task].idle,
        clip=store.clip,
        probe=ProbeConfig(
            dim=store.backbone.dim, num_heads=options.num_heads, normalization=options.normalization
        ),
        backbone=store.backbone,
    )


def drop_tokens(tokens: Tensor, share: float) -> Tensor:
    """Leave out a random `share` of the patch places of tokens (B, T, P, D), the same ones in every frame.

    Places rather than single tokens: what moves is then still seen to move.
    """
    places = tokens.shape[2]
    kept = torch.randperm(places)[: max(1, round(places * (1 - share)))]
    return tokens[:, :, kept]


@torch.no_grad()
def window_logits(
    head: Head, windows: list[Window], tokens_of: WindowTokens, batch: int = 32
) -> tuple[Tensor, Tensor]:
    """Logits (N, K) of windows, and the indices (N,) of their labels."""
    logits = [head(tokens_of(windows[i : i + batch]).float()) for i in range(0, len(windows), batch)]
    return torch.cat(logits), _targets(windows, head)


def accuracy(head: Head, windows: list[Window], tokens_of: WindowTokens) -> float:
    """Share of windows whose likeliest label is theirs."""
    logits, targets = window_logits(head, windows, tokens_of)
    return float((logits.argmax(-1) == targets).float().mean())


def _targets(windows: list[Window], head: Head) -> Tensor:
    index = {label: i for i, label in enumerate(head.config.labels)}
    return torch.tensor([index[window.labels[head.config.task]] for window in windows])


def _parameter_groups(heads: dict[str, Head], weight_decay: float) -> list[dict[str, object]]:
    """Weight decay for matrices; none for embeddings and biases, whose scale is meant."""
    parameters: list[tuple[str, nn.Parameter]] = [
        p for head in heads.values() for p in head.named_parameters()
    ]
    decayed = [p for name, p in parameters if p.ndim == 2 and "position" not in name]
    rest = [p for name, p in parameters if p.ndim != 2 or "position" in name]
    return [{"params": decayed, "weight_decay": weight_decay}, {"params": rest, "weight_decay": 0.0}]
