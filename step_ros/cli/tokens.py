"""Commands from labelled videos to heads and their accuracy: extract, train, evaluate."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated

import torch
import tyro
from rich.console import Console
from rich.table import Table

from step_ros.backbones import Backbone
from step_ros.evaluation.clip_metrics import ClipMetrics, clip_metrics
from step_ros.evaluation.linear_probe import mean_pooled_linear_probe
from step_ros.frames import ClipSpec
from step_ros.probes import Head
from step_ros.training.fit import FitOptions, fit, save_heads, window_logits
from step_ros.training.token_store import TokenStore
from step_ros.training.token_store import extract as extract_tokens
from step_ros.training.windows import WindowTokens, centred_windows

FIT_DEFAULTS = FitOptions()


def extract(
    data: Path, backbone: str, out: Path, frames: int = 16, window: float = 1.6, device: str = "cpu"
) -> None:
    """Encode every video of a clips csv once, and keep the tokens.

    Args:
        data: csv with the columns video, start, end, split and one a task.
        backbone: folder or hub name.
        out: folder of the token store.
        frames: frames in a window, T.
        window: seconds that a window spans.
        device: where the backbone runs.
    """
    store = extract_tokens(
        data, Backbone.from_pretrained(backbone, device=device), ClipSpec(frames, window), out
    )
    Console().print(f"{out}: {len(store.clips)} videos, tokens of {store.backbone}")


def train(
    store: Path,
    out: Path,
    tasks: tuple[str, ...] = ("fine_grained_action", "atomic_action", "object"),
    options: Annotated[FitOptions, tyro.conf.arg(name="")] = FIT_DEFAULTS,
) -> None:
    """Fit one head a task on the tokens of a store.

    Args:
        store: a folder that `step-ros extract` made.
        out: where the model folders go, one a task.
        tasks: which columns of the csv to learn.
        options: how.
    """
    save_heads(fit(TokenStore(store), tasks, options), out)


def evaluate(
    store: Path,
    heads: Path,
    split: str = "test",
    json_file: Annotated[Path | None, tyro.conf.arg(name="json")] = None,
) -> None:
    """Judge heads clip by clip on a split, forwards and backwards, beside an order-blind linear probe.

    Args:
        store: a folder that `step-ros extract` made.
        heads: a folder of heads.
        split: which clips.
        json_file: where to write the figures as well.
    """
    opened = TokenStore(store)
    results: dict[str, ClipMetrics] = {}
    for folder in sorted(path.parent for path in heads.glob("*/config.json")):
        if not (folder / "model.safetensors").exists() or "labels" not in json.loads(
            (folder / "config.json").read_text()
        ):
            continue  # a backbone beside its heads
        head = Head.from_pretrained(folder)
        head.check_backbone(opened.backbone)
        results[head.config.task] = _judge(head, opened, split)
    first = next(iter(opened.tasks))
    linear = mean_pooled_linear_probe(opened, first, split)
    _print({**results, f"{first}, by an order-blind linear probe": linear})
    if json_file is not None:
        json_file.write_text(json.dumps({task: m.to_json() for task, m in results.items()}, indent=2) + "\n")


def _judge(head: Head, store: TokenStore, split: str) -> ClipMetrics:
    windows = centred_windows(store, split)
    tokens_of = WindowTokens(store)
    logits, targets = window_logits(head, windows, tokens_of)
    with torch.inference_mode():
        turned = torch.cat([head(tokens_of([window]).flip(1).float()) for window in windows])
    return clip_metrics(logits, turned, targets, head.config.labels, head.config.symmetric_pairs)


def _print(results: dict[str, ClipMetrics]) -> None:
    table = Table("%", "top-1", "top-5", "class", "sym", "other", "rev", "turned")
    table.caption = (
        "class: mean over classes; sym, other: top-1 on nearly symmetric classes, and others; rev: top-1 "
        "when clips run backwards; turned: right symmetric clips that backwards become their partner"
    )
    for task, m in results.items():
        shares = (
            *(m.top1, m.top5, m.mean_class, m.symmetric, m.non_symmetric),
            *(m.reversed_top1, m.reversed_to_partner),
        )
        table.add_row(
            f"{task} ({m.clips} clips)", *("-" if share is None else f"{100 * share:.1f}" for share in shares)
        )
    Console().print(table)
