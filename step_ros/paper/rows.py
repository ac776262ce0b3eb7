"""Trains and judges the rows of the paper's tables on any store of tokens."""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from rich.console import Console

from step_ros.paper.adapters import ALL_ADAPTERS, NAME_READERS
from step_ros.probes import StepOptions
from step_ros.scores.clips import ClipScores
from step_ros.training.fit import fit
from step_ros.training.fit_options import FitOptions
from step_ros.training.judge import Judgement, judge
from step_ros.training.splits import split_clips
from step_ros.training.store import TokenStore

TRAINED_METHODS: Mapping[str, Mapping[str, Any]] = {
    "linear": {"probe": "linear"},
    "attentive": {"probe": "attentive"},
    "self_attention": {"probe": "self_attention"},
    "moments": {"probe": "moments"},
    "step": {},
    "step with feed-forward + layer norm + skip": {"step": StepOptions(block="feed_forward")},
    "step with layer norm + skip": {"step": StepOptions(block="residual")},
    "step with only the global CLS pooled": {"step": StepOptions(pooled="cls")},
    "step with only patches pooled": {"step": StepOptions(pooled="patches")},
    "step with fixed PE": {"step": StepOptions(position="fixed")},
    "step with hybrid PE": {"step": StepOptions(position="hybrid")},
    "step with token-wise PE": {"step": StepOptions(position_unit="token")},
    "self-attention with global CLS": {"step": StepOptions(position="none")},
    "self-attention with temporal PE": {"step": StepOptions(global_cls=False)},
    "VPT, linear": {"probe": "linear", "adapter": "vpt_deep"},
    "VPT, step": {"adapter": "vpt_deep"},
    "AdaptFormer, linear": {"probe": "linear", "adapter": "adaptformer"},
    "AdaptFormer, step": {"adapter": "adaptformer"},
    "ST-Adaptor": {"probe": "linear", "adapter": "st_adapter"},
    "M2-CLIP": {"probe": "linear", "adapter": "m2_clip"},
    "VitaCLIP": {"probe": "linear", "adapter": "vita_clip"},
}
"""Rows of the tables, and how they differ from STEP; those with an adapter need a store of pixels."""

ROWS: Mapping[str, tuple[str, ...]] = {
    "table1": ("linear", "attentive", "self_attention", "step"),
    "table2": ("attentive", "self_attention", "step"),
    "table3": ("attentive", "step"),
    "table4": ("VPT, linear", "VPT, step", "AdaptFormer, linear", "AdaptFormer, step"),
    "peft": (
        *("linear", "step", "VPT, linear", "VPT, step", "AdaptFormer, linear", "AdaptFormer, step"),
        *("ST-Adaptor", "M2-CLIP", "VitaCLIP"),
    ),
    "table6": ("step with feed-forward + layer norm + skip", "step with layer norm + skip", "step"),
    "table7": ("step with only the global CLS pooled", "step with only patches pooled", "step"),
    "table8": ("step with fixed PE", "step with hybrid PE", "step"),
    "table9": ("step with token-wise PE", "step"),
    "table10": (
        "self_attention",
        "self-attention with global CLS",
        "self-attention with temporal PE",
        "step",
    ),
    "all": tuple(name for name, differs in TRAINED_METHODS.items() if "adapter" not in differs),
}
"""The rows of each table that can be run; "peft" are all adapters beside probes, on a store of pixels."""

COSTS = ("table5", "figure4")
"""What is counted and timed instead, with no data."""


@dataclass
class RowResult:
    """One method on one store: every run's judgement."""

    method: str
    runs: list[Judgement] = field(default_factory=list)
    """One a seed and held-out group."""
    seeds: list[int] = field(default_factory=list)
    """Of each run."""
    held_out: list[str] = field(default_factory=list)
    """Of each run, the group that was judged; empty for the store's own split."""
    seconds: list[float] = field(default_factory=list)
    """Of each run, what its training took."""
    parameters: int = 0
    """That were trained."""

    def mean_and_deviation(self, column: str) -> tuple[float, float] | None:
        """Mean over all runs, and the standard deviation over seeds of their means over groups.

        None if it was never measured.
        """
        by_seed: dict[int, list[float]] = {}
        for seed, run in zip(self.seeds, self.runs, strict=True):
            value = getattr(run.metrics, column)
            if value is not None:
                by_seed.setdefault(seed, []).append(value)
        if not by_seed:
            return None
        means = [statistics.fmean(values) for values in by_seed.values()]
        return statistics.fmean(means), statistics.stdev(means) if len(means) > 1 else 0.0

    def to_json(self) -> dict[str, Any]:
        """Every run's metrics, with seed and held-out group."""
        runs = zip(self.seeds, self.held_out, self.runs, strict=True)
        return {
            "method": self.method,
            "parameters": self.parameters,
            "training_seconds": self.seconds,
            "runs": [{"seed": seed, "held_out": group, **run.metrics.to_json()} for seed, group, run in runs],
        }


def run_rows(
    store: TokenStore,
    task: str,
    methods: Sequence[str],
    options: FitOptions,
    *,
    seeds: int = 1,
    rotate: Sequence[str] = (),
    console: Console | None = None,
    done: Callable[[RowResult], None] | None = None,
    backbone: str | Path | None = None,
) -> list[RowResult]:
    """Train and judge methods on a store.

    Args:
        store: whose clips.
        task: what heads answer.
        methods: names in `TRAINED_METHODS`.
        options: how all of them are fitted, but for what makes the method.
        seeds: how many runs, from seed 0 on.
        rotate: groups to hold out, one after the other; by default the store's own split is used.
        console: where progress is shown.
        done: called with each method's result.
        backbone: folder or hub name of the backbone, for a store of pixels.

    Raises:
        ValueError: a method is unknown, or there are no clips to judge.
    """
    unknown = [method for method in methods if method not in TRAINED_METHODS]
    if unknown:
        raise ValueError(f"unknown methods {', '.join(unknown)}; known are {', '.join(TRAINED_METHODS)}")
    console = console or Console()
    results = []
    for method in methods:
        result = RowResult(method)
        for group in rotate or ("",):
            for seed in range(seeds):
                held_out = (group,) if group else options.hold_out
                own = replace(_as(method, options), seed=seed, hold_out=held_out)
                if store.holds_pixels and not own.adapter.kind:  # as many steps as beside adapters
                    own = replace(own, steps=own.steps + own.adapter.head_steps)
                start = time.perf_counter()
                fitted = fit(
                    store,
                    [task],
                    own,
                    console=console,
                    backbone=backbone,
                    adapters=ALL_ADAPTERS,
                    name_readers=NAME_READERS,
                )
                result.seconds.append(time.perf_counter() - start)
                head = fitted.heads[task]
                result.parameters = fitted.adapter_parameters + sum(p.numel() for p in head.parameters())
                parts = split_clips(store, hold_out=held_out)
                clips = parts.test or parts.of("validation")
                result.runs.append(judge(head, store, clips, fitted.backbone))
                result.seeds.append(seed)
                result.held_out.append(group)
        results.append(result)
        if done is not None:
            done(result)
    return results


def _as(method: str, options: FitOptions) -> FitOptions:
    """Options that make a method; its adapter is as `options` have it, with a text side if it has one."""
    differs = dict(TRAINED_METHODS[method])
    kind = differs.pop("adapter", "")
    adapter = replace(options.adapter, kind=kind, text=options.adapter.text if kind in NAME_READERS else "")
    return replace(options, **differs, adapter=adapter)


def cells(result: RowResult, columns: Sequence[str]) -> list[str]:
    """A result's columns as text: mean and, over several seeds, standard deviation, in percent."""
    several = len(set(result.seeds)) > 1
    known = set(ClipScores.__dataclass_fields__)
    texts = []
    for column in columns:
        value = result.mean_and_deviation(column) if column in known else None
        if value is None:
            texts.append("-")
        else:
            texts.append(f"{100 * value[0]:.1f}" + (f" ± {100 * value[1]:.1f}" if several else ""))
    return texts
