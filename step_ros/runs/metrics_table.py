"""A run's scores on a terminal."""

from __future__ import annotations

from typing import Any

from rich import box
from rich.table import Table


def metrics_table(metrics: dict[str, Any]) -> Table:
    """The figures that people ask for first, a row a task."""
    table = Table(
        *("task", "acc", "sym", "other", "mAP", "F1@50", "edit", "onset", "flips"),
        title=f"{metrics['updates']} updates, {_number(metrics['updates_per_second'], 1)} a second",
        caption="acc to edit: %; onset: median seconds to the first right update; flips: a minute",
        title_justify="left",
        caption_justify="left",
        box=box.SIMPLE_HEAD,
        show_edge=False,
        pad_edge=False,
    )
    for column in table.columns:
        column.no_wrap = True
        column.justify = "left" if column.header == "task" else "right"
    for task, scores in metrics["tasks"].items():
        shares = ("accuracy", "symmetric", "non_symmetric", "map", "f1@50", "edit")
        table.add_row(
            task,
            *(_number(scores[name], 1, 100) for name in shares),
            _number(scores["onsets"]["delay_s"], 2),
            _number(scores["flips_per_minute"], 1),
        )
    if not metrics["tasks"]:
        table.caption = "there is no truth to compare with: see --truth and --truth-csv"
    return table


def _number(value: float | None, digits: int, factor: float = 1.0) -> str:
    return "-" if value is None else f"{value * factor:.{digits}f}"
