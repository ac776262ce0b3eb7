"""Results as tables: in the terminal, as csv and as markdown."""

from __future__ import annotations

import csv
import io
from collections.abc import Mapping, Sequence

from rich.table import Table

from step_ros.scores.classes import ClassReport
from step_ros.scores.clips import ClipMetrics

NAMES = {
    "top1": "top-1",
    "top5": "top-5",
    "mean_class": "mean over classes",
    "symmetric": "nearly symmetric",
    "non_symmetric": "other",
    "pair_accuracy": "before its partner",
    "reversed_top1": "top-1 backwards",
    "reversed_to_partner": "turned to partner",
    "direction_accuracy": "forward/reversed",
    "calibration_error": "calibration error",
}
"""Fields of `ClipMetrics`, and what tables call them."""


def percent(share: float | None) -> str:
    """A share as percent with one decimal, or a dash."""
    return "-" if share is None else f"{100 * share:.1f}"


def metrics_rows(results: Mapping[str, ClipMetrics]) -> list[list[str]]:
    """Header and a row a metric; a column a result."""
    rows = [["%", *(f"{name} ({metrics.clips} clips)" for name, metrics in results.items())]]
    for field, name in NAMES.items():
        rows.append([name, *(percent(getattr(metrics, field)) for metrics in results.values())])
    return rows


def class_rows(report: ClassReport) -> list[list[str]]:
    """Header and a row a class, as in the STEP paper's table III."""
    rows = [["class", "clips", "top-1", "most common confusion", "rate"]]
    for result in report.classes:
        rows.append(
            [
                result.label,
                str(result.clips),
                percent(result.accuracy),
                result.confusion or "-",
                percent(result.confusion_rate),
            ]
        )
    return rows


def terminal_table(rows: Sequence[Sequence[str]], *, title: str = "") -> Table:
    """For rich's console; a row of nothing but dashes is left out."""
    table = Table(*rows[0], title=title or None)
    for row in rows[1:]:
        if any(value != "-" for value in row[1:]):
            table.add_row(*row)
    return table


def markdown_table(rows: Sequence[Sequence[str]]) -> str:
    """For documents."""
    lines = [" | ".join(row) for row in rows]
    lines.insert(1, " | ".join(["---", *["---:"] * (len(rows[0]) - 1)]))
    return "\n".join(f"| {line} |" for line in lines) + "\n"


def csv_table(rows: Sequence[Sequence[str]]) -> str:
    """For spreadsheets."""
    text = io.StringIO()
    csv.writer(text, lineterminator="\n").writerows(rows)
    return text.getvalue()
