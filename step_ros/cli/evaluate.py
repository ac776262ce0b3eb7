"""How good heads are on clips: `step-ros evaluate`."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated

import tyro
from rich.console import Console

from step_ros.cli.output_files import check_outputs, write_outputs


def evaluate(
    store: Path,
    heads: Path,
    split: str | None = None,
    hold_out: tuple[str, ...] = (),
    json_file: Annotated[Path | None, tyro.conf.arg(name="json")] = None,
    csv_file: Annotated[Path | None, tyro.conf.arg(name="csv")] = None,
    markdown_file: Annotated[Path | None, tyro.conf.arg(name="markdown")] = None,
    classes: bool = False,
    yardstick: bool = True,
    backbone: str | None = None,
) -> None:
    """Judge heads clip by clip, forwards and backwards, beside an order-blind linear probe.

    Args:
        store: a folder that `step-ros extract` made.
        heads: a folder of heads.
        split: which clips; by default those of the groups that the heads were not trained on, else the test
            split, else all.
        hold_out: groups whose clips are judged.
        json_file: where to write everything.
        csv_file: where to write the table.
        markdown_file: where to write the tables, classes included.
        classes: also show each class, and what it is taken for.
        yardstick: also fit the linear probe, where the store has clips to train it on.
        backbone: what makes tokens of a store of pixels; by default `backbone` beside the heads.
    """
    from step_ros.paper.judged_heads import judge_heads
    from step_ros.scores.tables import (
        class_rows,
        csv_table,
        markdown_table,
        metrics_rows,
        terminal_table,
        verdict_text,
    )
    from step_ros.training.store import open_store

    check_outputs(json_file, csv_file, markdown_file)
    console = Console()
    found = judge_heads(
        *(open_store(store), heads, split, hold_out),
        yardstick=yardstick,
        backbone=backbone,
        console=console,
    )
    rows = metrics_rows(found.metrics)
    console.print(terminal_table(rows))
    for task, judgement in found.judgements.items():
        if classes:
            console.print(terminal_table(class_rows(judgement.report), title=task))
        console.print(verdict_text(task, found.verdicts[task]))
    content = {
        task: {**judgement.to_json(), "verdict": [finding.to_json() for finding in found.verdicts[task]]}
        for task, judgement in found.judgements.items()
    }
    parts = [markdown_table(rows)]
    for task, judgement in found.judgements.items():
        parts += [f"## {task}\n", markdown_table(class_rows(judgement.report))]
    write_outputs(
        (json_file, json.dumps(content, indent=2) + "\n"),
        (csv_file, csv_table(rows)),
        (markdown_file, "\n".join(parts)),
    )
