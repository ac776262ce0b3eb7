"""What may be wrong with labelled data, before anything costs time: `step-ros check`."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated

import tyro

from step_ros.cli.output_files import check_outputs, write_outputs

MOST_SHOWN = 60
"""Classes of a task that are shown one by one."""


def check(
    data: Path,
    dataset: str = "auto",
    tasks: tuple[str, ...] = (),
    group: str | None = None,
    window: float | None = None,
    json_file: Annotated[Path | None, tyro.conf.arg(name="json")] = None,
) -> None:
    """Read a data set as `extract` and `learn` do, and say what is in it and what may be wrong.

    Ends with 1 if something must be mended first.

    Args:
        data: csv of clips, a folder of videos a class, a bag with labels, or the folder of a published data
            set.
        dataset: which adapter reads the data; auto looks at what is there.
        tasks: which tasks to look at; all by default.
        group: csv column of what must not be on both sides of a split, such as a scene.
        window: seconds of a window, if windows are to slide over whole videos.
        json_file: where to write everything, with every line that a doubt is about.
    """
    from rich.console import Console

    from step_ros.scores.tables import terminal_table
    from step_ros.training.datasets import ClipsError, read_dataset
    from step_ros.training.datasets.doubts import Severity, classes_by_split, find_doubts, left_out

    if window is not None and not window > 0:
        raise ClipsError(f"--window must be above 0 seconds, got {window:g}")
    check_outputs(json_file)
    console = Console()
    clip_set = read_dataset(data, dataset, tasks=tasks, group=group, overlaps=window is None)
    classes = {task: classes_by_split(clip_set.clips, task) for task in clip_set.tasks}
    doubts = [*left_out(clip_set), *find_doubts(clip_set, window_seconds=window)]
    doubts.sort(key=lambda doubt: list(Severity).index(doubt.severity))
    for task, (splits, rows) in classes.items():
        if len(rows) <= MOST_SHOWN:
            console.print(terminal_table([[task, *splits], *rows]))
        else:
            console.print(f"{task}: {len(rows)} classes", markup=False, highlight=False)
    styles = {Severity.ERROR: "bold red", Severity.DOUBT: "yellow", Severity.NOTE: "dim"}
    for doubt in doubts:
        style = styles[doubt.severity]
        console.print(str(doubt), style=style, markup=False, highlight=False, soft_wrap=True)
    content = {
        "tasks": {
            task: {label: dict(zip(splits, map(int, counts), strict=True)) for label, *counts in rows}
            for task, (splits, rows) in classes.items()
        },
        "doubts": [doubt.to_json() for doubt in doubts],
    }
    write_outputs((json_file, json.dumps(content, indent=2) + "\n"))
    if any(doubt.severity is Severity.ERROR for doubt in doubts):
        raise SystemExit(1)
