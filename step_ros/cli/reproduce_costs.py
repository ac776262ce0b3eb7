"""`step-ros reproduce table5` and `figure4`: what several tasks cost, beside what was published."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path

from rich.console import Console

from step_ros.benchmark.models import BACKBONES
from step_ros.cli.output_files import write_outputs
from step_ros.paper.published import PublishedTable
from step_ros.paper.several_tasks import MethodCost, count, measure
from step_ros.paper.several_tasks_figure import MOST_TASKS, draw_figure
from step_ros.peft import AdapterError
from step_ros.processor import choose_device
from step_ros.scores.tables import markdown_table, terminal_table

_THREE_TASKS = 3
_VIEWS = 3
_NOTE = (
    "GFLOPs as the paper counts them, in multiply-adds: of one view of a clip. What the paper gives for "
    f"ST-Adaptor, M2-CLIP and VitaCLIP agrees with {_VIEWS} views."
)


def show_costs(
    console: Console,
    table: str,
    about: PublishedTable,
    *,
    size: str,
    frames: int,
    device: str,
    timed: bool,
    figure: Path | None,
    json_file: Path | None,
    markdown_file: Path | None,
) -> None:
    """Count, time and print.

    Args:
        console: where to.
        table: table5 or figure4.
        about: the paper's table V.
        size: of the backbone, as `step_ros.benchmark` names it.
        frames: T.
        device: where it is timed.
        timed: whether it is.
        figure: where figure 4 goes.
        json_file: where to write every figure.
        markdown_file: where to write the table.

    Raises:
        AdapterError: there is no backbone of this size.
    """

    def report(line: str) -> None:
        console.print(line, style="dim", highlight=False)

    if size not in BACKBONES:
        raise AdapterError(f"there is no backbone {size!r}; there are {', '.join(BACKBONES)}")
    choose_device(device)
    costs = measure(size, frames, device=device, report=report) if timed else count(size, frames)
    rows = table5_rows(costs, about) if table == "table5" else figure4_rows(costs)
    title = "Several tasks: accuracy as published" if table == "table5" else "GFLOPs of a clip, by tasks"
    console.print(terminal_table(rows, title=f"{title}; {size}, {frames} frames"))
    console.print(_NOTE)
    content = {
        "backbone": size,
        "frames": frames,
        "device": device,
        "methods": [asdict(c) for c in costs],
    }
    write_outputs(
        (json_file, json.dumps(content, indent=1) + "\n"),
        (markdown_file, markdown_table(rows) + f"\n{_NOTE}\n"),
    )
    if table == "figure4":
        path = figure or Path("figure4.png")
        draw_figure(costs, path)
        console.print(f"{path}", highlight=False)


def table5_rows(costs: Sequence[MethodCost], about: PublishedTable) -> list[list[str]]:
    """Header and two rows an adapter: one for all of three tasks, and one for each."""
    timed = all(cost.pass_seconds is not None for cost in costs)
    step = next(cost for cost in costs if not cost.adapted)
    columns = ["method", "passes", "trained M", "GFLOPs", "of STEP", *(["s", "of STEP"] if timed else [])]
    rows = [[*columns, "published GFLOPs", *(f"published {column}" for column in about.columns)]]
    for cost in costs:
        for passes in (1, _THREE_TASKS) if cost.adapted else (1,):
            macs = passes * cost.pass_macs + _THREE_TASKS * cost.head_macs
            row = [
                cost.method,
                str(passes),
                f"{cost.parameters * (passes if cost.adapted else _THREE_TASKS) / 1e6:.1f}",
                f"{macs / 1e9:.1f}",
                f"{macs / step.macs(_THREE_TASKS):.2f}",
            ]
            if timed:
                seconds = passes * (cost.pass_seconds or 0) + _THREE_TASKS * (cost.head_seconds or 0)
                row += [f"{seconds:.2f}", f"{seconds / (step.seconds(_THREE_TASKS) or 1):.2f}"]
            rows.append(row + _published(about, cost.method, passes))
    return rows


def figure4_rows(costs: Sequence[MethodCost]) -> list[list[str]]:
    """Header and a row a method: GFLOPs of a clip for 1 to 8 tasks."""
    tasks = range(1, MOST_TASKS + 1)
    rows = [["tasks", *map(str, tasks)]]
    for cost in costs:
        rows.append([cost.method, *(f"{cost.macs(number) / 1e9:.0f}" for number in tasks)])
    return rows


def _published(about: PublishedTable, method: str, passes: int) -> list[str]:
    name = "step" if method == "STEP" else method
    for row in about.rows:
        if (row["method"], row["passes"]) == (name, passes):
            return [f"{row['gflops']:g}", *(f"{value:.2f}" for value in row[about.datasets[0]])]
    return ["-"] * (1 + len(about.columns))
