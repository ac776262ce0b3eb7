"""`step-ros reproduce`: the rows of the paper's tables that can be run, beside the published ones."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated

import tyro
from rich.console import Console

from step_ros.cli.output_files import check_outputs, write_outputs
from step_ros.training.fit_options import FitOptions

_FIT_DEFAULTS = FitOptions()


def reproduce(
    table: Annotated[str, tyro.conf.Positional] = "",
    data: tuple[str, ...] = (),
    store: tuple[Path, ...] = (),
    backbone: str = "facebook/dinov2-base",
    frames: int = 16,
    trim: float = 0.0,
    views: int = 1,
    stores: Path = Path("stores"),
    task: str | None = None,
    rows: tuple[str, ...] = (),
    rotate: tuple[str, ...] = (),
    seeds: int = 1,
    list_tables: Annotated[bool, tyro.conf.arg(name="list")] = False,
    size: str = "vitb14",
    timed: bool = True,
    figure: Path = Path("figure4.png"),
    json_file: Annotated[Path | None, tyro.conf.arg(name="json")] = None,
    markdown_file: Annotated[Path | None, tyro.conf.arg(name="markdown")] = None,
    device: str = "cpu",
    options: Annotated[FitOptions, tyro.conf.arg(name="fit")] = _FIT_DEFAULTS,
) -> None:
    """Train and judge the rows of a table of the STEP paper, and print them beside what was published.

    Rows are run on every data set that is given; what lacks data is named. Other data than the paper's do
    as well. table5 and figure4, what several tasks cost, need no data and are counted and timed here.

    Args:
        table: table1 ... table10, figure4, all (every probe and ablation), or peft (adapters beside probes).
        data: data sets to extract first, each as NAME=FOLDER (such as hri30=/data/HRI30), or a csv of clips.
        store: token stores that are there already; their folders' names stand in the table.
        backbone: folder or hub name, for data that are not extracted yet, and for adapters (table4, peft).
        frames: frames of a clip, T.
        trim: share of each clip to leave out at both ends.
        views: views of each clip to train on.
        stores: folder for the token stores of `data`.
        task: which task; by default each data set's first.
        rows: only these rows of the table, such as step; by default all.
        rotate: groups to hold out and judge, one after the other.
        seeds: runs a row; several give a mean and a standard deviation.
        list_tables: only show every table and what it needs.
        size: backbone of table5 and figure4: vits14, vitb14 or vitl14, with random weights.
        timed: whether these are timed here, too.
        figure: picture of figure4.
        json_file: where to write every run.
        markdown_file: where to write the table.
        device: where backbones run.
        options: how probes are fitted.
    """
    from step_ros.paper.published import overview, published_tables
    from step_ros.scores.tables import terminal_table

    check_outputs(json_file, markdown_file, figure)
    console = Console()
    if list_tables or not table:
        console.print(terminal_table(overview(published_tables())))
        console.print(
            "Any other data do as well: --data clips.csv, or --store STORE. `all` runs every probe and "
            "ablation."
        )
        return
    from step_ros.paper.reproduced import Data, reproduce_rows
    from step_ros.paper.rows import COSTS
    from step_ros.paper.several_tasks_table import reproduce_costs
    from step_ros.training.store import ClipSampling

    if table in COSTS:
        found = reproduce_costs(*(table, size, frames, console), device=device, timed=timed, figure=figure)
    else:
        on = Data(data, store, backbone, ClipSampling(frames, trim), views, stores, device)
        found = reproduce_rows(
            *(table, on, options, console), task=task, rows=rows, rotate=rotate, seeds=seeds
        )
    write_outputs(
        (json_file, json.dumps(found.content, indent=1) + "\n"), (markdown_file, found.to_markdown())
    )
