"""What `step-ros reproduce` found, as rows for a table beside the published ones."""

from __future__ import annotations

import statistics
from collections.abc import Sequence

from step_ros.paper.published import PublishedTable
from step_ros.paper.rows import RowResult, cells

_EXTRA_COLUMNS = ("pair_accuracy", "mean_class", "reversed_top1")


def table_rows(
    results: Sequence[RowResult], about: PublishedTable | None, name: str, *, direction: bool
) -> list[list[str]]:
    """Header and a row a method: measured, and published where the paper has the data set."""
    measured = ["top1", "symmetric", "non_symmetric"]
    if about and about.name != "table3":
        measured = list(about.columns)
    measured += [column for column in _EXTRA_COLUMNS if column not in measured]
    if direction:
        measured = ["direction_accuracy"]
    quoted = about.columns if about and name in about.datasets and about.name != "table3" else ()
    rows = [["%", *measured, *(f"published {column}" for column in quoted)]]
    for result in results:
        row = about.row(result.method) if about and quoted else None
        values = row.get(name, [None] * len(quoted)) if row else [None] * len(quoted)
        rows.append(
            [
                result.method,
                *cells(result, measured),
                *("-" if value is None else f"{value:.2f}" for value in values),
            ]
        )
    return rows


def cost_columns(results: Sequence[RowResult]) -> list[list[str]]:
    """Header and a row a method: what was trained, and how long."""
    return [
        ["trained M", "training s"],
        *([f"{r.parameters / 1e6:.2f}", f"{statistics.mean(r.seconds):.0f}"] for r in results),
    ]


def class_by_class(results: Sequence[RowResult]) -> list[list[str]]:
    """The paper's table III, of each method's first run: symmetric classes and their confusions."""
    rows = [["class", *(f"{r.method}: {what}" for r in results for what in ("top-1", "confusion", "rate"))]]
    reports = [{c.label: c for c in result.runs[0].report.classes} for result in results]
    paired = [label for pair in results[0].runs[0].report.pairs for label in (pair.first, pair.second)]
    for label in sorted(paired):
        row = [label]
        for report in reports:
            found = report.get(label)
            row += (
                [f"{found.accuracy:.2f}", found.confusion or "-", f"{found.confusion_rate:.2f}"]
                if found
                else ["-"] * 3
            )
        rows.append(row)
    return rows


def brief(result: RowResult) -> str:
    """The scores that people ask for first, in a line."""
    columns = ("top1", "symmetric", "pair_accuracy", "direction_accuracy")
    texts = zip(columns, cells(result, columns), strict=True)
    return ", ".join(f"{column} {text}" for column, text in texts if text != "-")
