"""`step-ros reproduce`: the rows of the paper's tables that can be run, beside the published ones."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import tyro
from rich.console import Console

from step_ros.cli.output_files import check_outputs, write_outputs
from step_ros.training.fit_options import FitOptions

if TYPE_CHECKING:
    from step_ros.paper.published import PublishedTable
    from step_ros.training.extract import ExtractOptions
    from step_ros.training.store import TokenStore

COSTS = ("table5", "figure4")

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
    figure: Path | None = None,
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
        figure: picture of figure4; figure4.png by default.
        json_file: where to write every run.
        markdown_file: where to write the table.
        device: where backbones run.
        options: how probes are fitted.
    """
    from step_ros.paper.published import published_tables

    check_outputs(json_file, markdown_file, figure)
    console = Console()
    published = published_tables()
    if list_tables or not table:
        list_all(console, published)
        return
    if table in COSTS:
        from step_ros.cli.reproduce_costs import show_costs

        show_costs(
            console,
            table,
            published["table5"],
            size=size,
            frames=frames,
            device=device,
            timed=timed,
            figure=figure,
            json_file=json_file,
            markdown_file=markdown_file,
        )
        return
    from step_ros.paper.row_tables import brief, class_by_class, cost_columns, table_rows
    from step_ros.paper.rows import ROWS, TRAINED_METHODS, run_rows
    from step_ros.scores.tables import markdown_table, terminal_table
    from step_ros.training.datasets import ClipsError
    from step_ros.training.extract import ExtractOptions
    from step_ros.training.store import ClipSampling, open_store
    from step_ros.training.windows import DIRECTION

    if table not in ROWS:
        raise ClipsError(f"there is no {table!r} to run; known are {', '.join((*ROWS, *COSTS))}")
    if seeds < 1:
        raise ClipsError(f"--seeds must be at least 1, got {seeds}")
    unknown = [row for row in rows if row not in ROWS[table]]
    if unknown:
        raise ClipsError(f"{table} has no row {', '.join(unknown)}; it has {', '.join(ROWS[table])}")
    methods = rows or ROWS[table]
    opened = {path.resolve().name: open_store(path) for path in store}
    adapted = any("adapter" in TRAINED_METHODS[method] for method in ROWS[table])
    sampling = ExtractOptions(ClipSampling(frames, trim), views, dtype="uint8" if adapted else "float16")
    for entry in data:
        name, path = _named(entry)
        opened[name] = _extracted(name, path, backbone, sampling, stores / name, device)
    about = published.get(table)
    for name in about.datasets if about else ():
        if name not in opened:
            console.print(f"skipped: {name} (give it as --data {name}=FOLDER)")
    if not opened:
        raise ClipsError("no data: name data sets by --data NAME=FOLDER, or token stores by --store")
    everything: dict[str, Any] = {}
    parts: list[str] = []
    for name, tokens in opened.items():
        chosen = task or next(iter(tokens.tasks))
        console.print(f"{name}: {chosen}")
        results = run_rows(
            tokens, chosen, methods, options, seeds=seeds, rotate=rotate, console=Console(quiet=True),
            done=lambda result: console.print(f"  {result.method}: {brief(result)}", highlight=False),
            backbone=backbone,
        )  # fmt: skip
        lines = table_rows(results, about, name, direction=chosen == DIRECTION)
        if adapted:
            lines = [[*line, *extra] for line, extra in zip(lines, cost_columns(results), strict=True)]
        title = f"{about.title if about else 'Every probe'}: {name}, {chosen}"
        console.print(terminal_table(lines, title=title))
        parts += [f"## {title}\n", markdown_table(lines)]
        if table == "table3":
            lines = class_by_class(results)
            console.print(terminal_table(lines, title=f"Class by class: {name}"))
            parts += [markdown_table(lines)]
        everything[name] = {"task": chosen, "rows": [result.to_json() for result in results]}
    write_outputs(
        (json_file, json.dumps(everything, indent=1) + "\n"),
        (markdown_file, "\n".join(parts)),
    )


def list_all(console: Console, published: dict[str, PublishedTable]) -> None:
    """Print every table of the paper, and what running it needs."""
    from step_ros.scores.tables import terminal_table

    rows = [["table", "what it shows", "data sets", "run by"]]
    for name, about in published.items():
        needs = ", ".join(f"--data {dataset}=FOLDER" for dataset in about.datasets)
        rows.append([name, about.title, needs, f"step-ros reproduce {name}"])
    console.print(terminal_table(rows))
    console.print(
        "Any other data do as well: --data clips.csv, or --store STORE. `all` runs every probe and ablation."
    )


def _named(entry: str) -> tuple[str, Path]:
    """NAME=FOLDER, or a path that is named after itself."""
    name, equals, path = entry.partition("=")
    if equals:
        return name, Path(path)
    return (Path(entry).parent.resolve().name if Path(entry).is_file() else Path(entry).name), Path(entry)


def _extracted(
    name: str, path: Path, backbone: str, options: ExtractOptions, out: Path, device: str
) -> TokenStore:
    from step_ros.backbones import select_engine
    from step_ros.peft.adapter_folder import load_backbone
    from step_ros.processor import choose_device
    from step_ros.training.datasets import DATASETS, read_dataset
    from step_ros.training.extract import extract
    from step_ros.training.raw_patches import RawPatches

    clip_set = read_dataset(path, name if name in DATASETS else "auto")
    loaded = load_backbone(backbone, device=choose_device(device))
    if options.dtype == "uint8":
        return extract(clip_set, RawPatches(loaded.encoder), options, out)
    loaded.engine = select_engine(loaded.encoder)
    return extract(clip_set, loaded, options, out)
