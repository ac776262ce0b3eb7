"""The STEP paper's Tables I to III for one run, and every class by itself."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from step_ros.report.cost import Cost
from step_ros.report.scored import Scored, words
from step_ros.runs.run import Run
from step_ros.scores.classes import LabelScores, class_result, label_scores
from step_ros.scores.live import LiveScores
from step_ros.scores.pace import PaceScores
from step_ros.scores.score import NOTHING, Scores, described, percent, score_rows, value_at
from step_ros.scores.updates import onset_delays_s, onset_scores

SCORES = described(LiveScores)
"""The scores of a task, by key in metrics.json."""


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
    explained: bool = False
    """Whether the last column says in words what the rows are."""


def accuracy_table(metrics: dict[str, Any], cost: Cost | None) -> Table:
    """Table I: nearly symmetric, other and all clips, beside what the head costs."""
    clips = ("clips.symmetric", "clips.non_symmetric", "clips.top1", "clips.clips")
    live = ("symmetric", "non_symmetric", "accuracy")
    rows = [
        (
            words(task),
            *(SCORES[key].text(value_at(scores, key)) for key in clips + live),
            f"{cost.backbone + cost.heads[task]:.2f}" if cost else NOTHING,
            f"{cost.parameters[task] / 1e6:.2f}" if cost else NOTHING,
        )
        for task, scores in metrics["tasks"].items()
    ]
    return Table(
        "Nearly symmetric and other actions (Table I)",
        (
            "task",
            *(SCORES[key].title for key in clips),
            *(f"live: {SCORES[key].title}" for key in live),
            *("GFLOPs", "parameters (M)"),
        ),
        rows,
        "Shares in %. Clips: the middle window of each true segment that is at least a window long. Live: "
        "every update. GFLOPs: backbone and head for one window; a multiplication and an addition are two.",
    )


def order_table(metrics: dict[str, Any]) -> Table | None:
    """Table II: clips forwards and backwards; None where no clip was judged."""
    forwards, backwards, turned = (
        SCORES[f"clips.{name}"] for name in ("top1", "reversed_top1", "reversed_to_partner")
    )
    rows = [
        (
            words(task),
            forwards.text(clips["top1"]),
            backwards.text(clips["reversed_top1"]),
            f"{100 * (clips['reversed_top1'] - clips['top1']):+.1f}",
            turned.text(clips["reversed_to_partner"]),
        )
        for task, scores in metrics["tasks"].items()
        for clips in [scores["clips"]]
        if clips
    ]
    return (
        rows
        and Table(
            "Forwards against backwards (Table II)",
            ("task", forwards.title, backwards.title, "change", turned.title),
            rows,
            "Shares in % of clips that get the label of the film as it was. An order-blind head says the "
            f"same backwards. {turned.title}: {turned.doc}, which is what a head that knows the order does.",
        )
        or None
    )


def symmetric_table(scored: Scored) -> Table | None:
    """Table III: every nearly symmetric action and what it is taken for; None where none occurs."""
    counts = scored.confusion()
    rows = []
    for label in (label for pair in scored.pairs for label in pair):
        index = scored.labels.index(label)
        if not counts[index].any():
            continue
        found = class_result(counts, scored.labels, index)
        taken_for = (NOTHING, NOTHING)
        if found.confusion is not None:
            taken_for = (words(found.confusion), percent(found.confusion_rate))
        rows.append((words(label), str(found.clips), percent(found.accuracy), *taken_for))
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
    counts = scored.confusion()
    updates, truth = run.updates_of(scored.task), run.truth[scored.task]
    shown, delay = described(LabelScores), SCORES["onsets.delay_s"]
    rows = []
    for index in np.flatnonzero(counts.sum(0) + counts.sum(1)).tolist():
        label = scored.labels[index]
        values = label_scores(counts, index).to_json()
        others = [other for other in scored.labels if other != label]
        delays_s = onset_delays_s(updates, truth, ignored=[*others, *idle])
        found = sum(delay_s is not None for delay_s in delays_s)
        rows.append(
            (
                words(label),
                *(score.text(values[key]) for key, score in shown.items()),
                f"{found} of {len(delays_s)}" if delays_s else NOTHING,
                delay.text(onset_scores(delays_s).delay_s),
            )
        )
    return Table(
        f"Classes of {words(scored.task)}",
        (
            *("class", *(score.title for score in shown.values())),
            *("onsets found", f"median delay ({delay.unit})"),
        ),
        rows,
        "Precision, recall and F1 in % of updates.",
    )


def live_table(metrics: dict[str, Any]) -> Table:
    """Every score of the live labels, a column a task."""
    return _score_table(
        "Live labels",
        LiveScores,
        {words(task): scores for task, scores in metrics["tasks"].items()},
        "Every update counts once. Clips: the middle window of each true segment that is at least a window "
        "long. Stable: the filtered label.",
    )


def pace_table(metrics: dict[str, Any]) -> Table:
    """Every score of how labels came."""
    return _score_table("Pace", PaceScores, {"all updates": metrics})


def _score_table(caption: str, kind: type[Scores], results: dict[str, Any], note: str = "") -> Table:
    (_, *names), *rows = score_rows(kind, results)
    docs = [score.doc for score in described(kind).values()]
    return Table(
        caption,
        ("score (in % unless it says otherwise)", *names, "what it says"),
        [(*row, doc) for row, doc in zip(rows, docs, strict=True)],
        note,
        explained=True,
    )


def all_tables(tables: Sequence[Table | None]) -> list[Table]:
    """Those that there are."""
    return [table for table in tables if table is not None]
