"""What several tasks cost, as tables beside what was published: the STEP paper's table V and figure 4."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path

from rich.console import Console

from step_ros.benchmark.models import BACKBONES
from step_ros.paper.published import PublishedTable, published_tables
from step_ros.paper.reproduced import Reproduced
from step_ros.paper.several_tasks import MethodCost, count, measure
from step_ros.paper.several_tasks_figure import MOST_TASKS, draw_figure
from step_ros.peft import AdapterError
from step_ros.processor import choose_device

_THREE_TASKS = 3
_VIEWS = 3
_NOTE = (
    "GFLOPs as the paper counts them, in multiply-adds: of one view of a clip. What the paper gives for "
    f"ST-Adaptor, M2-CLIP and VitaCLIP agrees with {_VIEWS} views."
)


def reproduce_costs(
    table: str, size: str, frames: int, console: Console, *, device: str, timed: bool, figure: Path
) -> Reproduced:
    """Count every method's operations and, if wanted, time them.

    Args:
        table: table5 or figure4.
        size: of the backbone, as `step_ros.benchmark` names it.
        frames: T.
        console: where the table and progress are shown.
        device: where it is timed.
        timed: whether it is.
        figure: where figure 4 goes.

    Raises:
        AdapterError: there is no backbone of this size.
    """

    def report(line: str) -> None:
        console.print(line, style="dim", highlight=False)

    if size not in BACKBONES:
        raise AdapterError(f"there is no backbone {size!r}; there are {', '.join(BACKBONES)}")
    choose_device(device)
    costs = measure(size, frames, device=device, report=report) if timed else count(size, frames)
    methods = [asdict(cost) for cost in costs]
    found = Reproduced({"backbone": size, "frames": frames, "device": device, "methods": methods}, note=_NOTE)
    if table == "table5":
        title, rows = "Several tasks: accuracy as published", table5_rows(costs, published_tables()["table5"])
    else:
        title, rows = "GFLOPs of a clip, by tasks", figure4_rows(costs)
    found.add(console, f"{title}; {size}, {frames} frames", rows)
    console.print(_NOTE)
    if table == "figure4":
        draw_figure(costs, figure)
        console.print(f"{figure}", highlight=False)
    return found


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
