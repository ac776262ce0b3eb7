"""A run's scores on a terminal."""

from __future__ import annotations

from typing import Any

from rich import box
from rich.table import Table

from step_ros.scores.live import LiveScores
from step_ros.scores.pace import PaceScores
from step_ros.scores.score import described, score_rows, value_at
from step_ros.scores.tables import terminal_table


def metrics_table(metrics: dict[str, Any]) -> Table:
    """Every score, a column a task."""
    table = terminal_table(score_rows(LiveScores, metrics["tasks"]))
    table.box, table.show_edge, table.pad_edge = box.SIMPLE_HEAD, False, False
    table.title_justify = table.caption_justify = "left"
    for column in table.columns[1:]:
        column.no_wrap, column.justify = True, "right"
    table.title = ", ".join(
        f"{score.title} {score.text_with_unit(value)}"
        for key, score in described(PaceScores).items()
        if (value := value_at(metrics, key)) is not None
    )
    if not metrics["tasks"]:
        table.caption = "there is no truth to compare with: see --truth and --truth-csv"
    return table
