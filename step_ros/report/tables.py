"""The STEP paper's Tables I to III for one run, and every class by itself."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from sklearn.metrics import precision_recall_fscore_support

from step_ros.report.confusion_figures import most_common_confusion
from step_ros.report.cost import Cost
from step_ros.report.scored import Scored, words
from step_ros.runs.run import Run
from step_ros.scores.updates import onsets


@dataclass(frozen=True)
class Table:
    """A table of a page."""

    caption: str
    """What it is."""
    columns: tuple[str, ...]
    """Headings; the first column names the rows."""
    rows: Sequence[tuple[str, ...]]
    """Cells as they are shown."""
    note: str = ""
    """What to know when reading it."""


def accuracy_table(metrics: dict[str, Any], cost: Cost | None) -> Table:
    """Table I: nearly symmetric, other and all clips, beside what the head costs."""
    rows = []
    for task, scores in metrics["tasks"].items():
        clips = scores["clips"] or {}
        rows.append(
            (
                words(task),
                percent(clips.get("symmetric")),
                percent(clips.get("non_symmetric")),
                percent(clips.get("top1")),
                str(clips.get("clips", 0)),
                percent(scores["symmetric"]),
                percent(scores["non_symmetric"]),
                percent(scores["accuracy"]),
                f"{cost.backbone + cost.heads[task]:.2f}" if cost else "–",
                f"{cost.parameters[task] / 1e6:.2f}" if cost else "–",
            )
        )
    return Table(
        "Nearly symmetric and other actions (Table I)",
        (
            *("task", "clips: sym.", "other", "all", "number"),
            *("live: sym.", "other", "all", "GFLOPs", "parameters (M)"),
        ),
        rows,
        "Shares in %. Clips: the middle window of each true segment that is at least a window long. Live: "
        "every update. GFLOPs: backbone and head for one window; a multiplication and an addition are two.",
    )


def order_table(metrics: dict[str, Any]) -> Table | None:
    """Table II: clips forwards and backwards; None where no clip was judged."""
    rows = [
        (
            words(task),
            percent(clips["top1"]),
            percent(clips["reversed_top1"]),
            f"{100 * (clips['reversed_top1'] - clips['top1']):+.1f}",
            percent(clips["reversed_to_partner"]),
        )
        for task, scores in metrics["tasks"].items()
        for clips in [scores["clips"]]
        if clips
    ]
    return (
        rows
        and Table(
            "Forwards against backwards (Table II)",
            ("task", "forwards", "backwards", "change", "turn to the partner"),
            rows,
            "Shares in % of clips that get the label of the film as it was. An order-blind head says the "
            "same backwards. Turn to the partner: of symmetric clips that are right, those that backwards "
            "become their partner, which is what a head that knows the order does.",
        )
        or None
    )


def symmetric_table(scored: Scored) -> Table | None:
    """Table III: every nearly symmetric action and what it is taken for; None where none occurs."""
    counts = scored.confusion()
    rows = []
    for label in (label for pair in scored.pairs for label in pair):
        index = scored.labels.index(label)
        total = int(counts[index].sum())
        if not total:
            continue
        confusion = most_common_confusion(scored, label)
        rows.append(
            (
                words(label),
                str(total),
                percent(counts[index, index] / total),
                words(confusion[0]) if confusion else "–",
                percent(confusion[1]) if confusion else "–",
            )
        )
    return (
        rows
        and Table(
            f"Nearly symmetric actions of {words(scored.task)} (Table III)",
            ("true class", "updates", "right", "most common confusion", "how often"),
            rows,
            "Shares in % of updates.",
        )
        or None
    )


def class_table(run: Run, scored: Scored) -> Table:
    """Every class that occurs in truth or answers."""
    idle = [scored.idle] if scored.idle else []
    indices = np.flatnonzero(scored.confusion().sum(0) + scored.confusion().sum(1))
    precision, recall, f1, support = precision_recall_fscore_support(
        scored.true, scored.said, labels=indices, zero_division=0.0
    )
    updates, truth = run.updates_of(scored.task), run.truth[scored.task]
    rows = []
    for row, index in enumerate(indices):
        label = scored.labels[index]
        others = [other for other in scored.labels if other != label]
        found = onsets(updates, truth, ignored=[*others, *idle])
        count = len(found.delays_s) + found.missed
        rows.append(
            (
                words(label),
                str(support[row]),
                percent(precision[row]),
                percent(recall[row]) if support[row] else "–",
                percent(f1[row]),
                f"{len(found.delays_s)} of {count}" if count else "–",
                f"{found.median_s:.2f}" if found.delays_s else "–",
            )
        )
    return Table(
        f"Classes of {words(scored.task)}",
        ("class", "updates", "precision", "recall", "F1", "onsets found", "median delay (s)"),
        rows,
        "Precision, recall and F1 in % of updates.",
    )


def summary_table(metrics: dict[str, Any]) -> Table:
    """The figures that people ask for first."""
    shares = ("accuracy", "symmetric", "non_symmetric", "map", "f1@10", "f1@25", "f1@50", "edit")
    rows = [
        (
            words(task),
            *(percent(scores[name]) for name in shares),
            number(scores["onsets"]["delay_s"], 2),
            percent(scores["onsets"]["detected"]),
            number(scores["flips_per_minute"], 1),
            percent(scores["stable"]["accuracy"]),
            percent(scores["stable"]["coverage"]),
            number(scores["stable"]["false_starts_per_minute"], 1),
        )
        for task, scores in metrics["tasks"].items()
    ]
    return Table(
        "Live labels",
        (
            *("task", "accuracy", "symmetric", "other", "mAP", "F1@10", "F1@25", "F1@50", "edit"),
            *("onset delay (s)", "onsets found", "flips/min", "stable: right", "stable: coverage"),
            "false starts/min",
        ),
        rows,
        "Shares in %. Every update counts once. F1@k and edit: segments, idle not among them. Flips: "
        "changes of the label while the truth stays. Stable: the filtered label; a false start is one that "
        "never was true.",
    )


def percent(share: float | None) -> str:
    """A share in per cent, without the sign; a dash where there is none."""
    return "–" if share is None or np.isnan(share) else f"{100 * share:.1f}"


def number(value: float | None, digits: int) -> str:
    """A number, or a dash."""
    return "–" if value is None else f"{value:.{digits}f}"


def all_tables(tables: Sequence[Table | None]) -> list[Table]:
    """Those that there are."""
    return [table for table in tables if table is not None]
