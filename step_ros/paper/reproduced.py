"""Rows of the paper's tables, run on other data and set beside what was published."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from rich.console import Console

from step_ros.backbones import select_engine
from step_ros.paper.published import published_tables
from step_ros.paper.row_tables import brief, class_by_class, cost_columns, table_rows
from step_ros.paper.rows import COSTS, ROWS, TRAINED_METHODS, run_rows
from step_ros.peft.adapter_folder import load_backbone
from step_ros.processor import choose_device
from step_ros.scores.tables import markdown_table, terminal_table
from step_ros.training.datasets import DATASETS, ClipsError, read_dataset
from step_ros.training.extract import ExtractOptions, extract
from step_ros.training.fit_options import FitOptions
from step_ros.training.raw_patches import RawPatches
from step_ros.training.store import ClipSampling, TokenStore, open_store
from step_ros.training.windows import DIRECTION


@dataclass
class Reproduced:
    """What was found: tables for people, and all of it for programs."""

    content: dict[str, Any] = field(default_factory=dict)
    """Every run or count, for JSON."""
    tables: list[tuple[str, list[list[str]]]] = field(default_factory=list)
    """Title, header and rows of each table."""
    note: str = ""
    """What must be known to read them."""

    def add(self, console: Console, title: str, rows: list[list[str]]) -> None:
        """Keep a table, and print it."""
        self.tables.append((title, rows))
        console.print(terminal_table(rows, title=title))

    def to_markdown(self) -> str:
        """All tables."""
        parts = [f"## {title}\n\n{markdown_table(rows)}" for title, rows in self.tables]
        return "\n".join([*parts, *([f"{self.note}\n"] if self.note else [])])


@dataclass(frozen=True)
class Data:
    """What rows are run on."""

    named: tuple[str, ...]
    """Data sets to extract first, each as NAME=FOLDER, or csv files of clips."""
    stores: tuple[Path, ...]
    """Token stores that are there already."""
    backbone: str
    """Folder or hub name, for what is not extracted yet, and for adapters."""
    sampling: ClipSampling
    """Which frames of a clip."""
    views: int
    """Views of each clip to train on."""
    out: Path
    """Where token stores go."""
    device: str
    """Where the backbone runs."""

    def open(self, *, pixels: bool) -> dict[str, TokenStore]:
        """The stores by name; what is not extracted yet is, as tokens or, for adapters, as pixels."""
        options = ExtractOptions(self.sampling, self.views, dtype="uint8" if pixels else "float16")
        opened = {path.resolve().name: open_store(path) for path in self.stores}
        for entry in self.named:
            name, path = _named(entry)
            clip_set = read_dataset(path, name if name in DATASETS else "auto")
            loaded = load_backbone(self.backbone, device=choose_device(self.device))
            if not pixels:
                loaded.engine = select_engine(loaded.encoder)
            encoder = RawPatches(loaded.encoder) if pixels else loaded
            opened[name] = extract(clip_set, encoder, options, self.out / name)
        return opened


def reproduce_rows(
    table: str,
    data: Data,
    options: FitOptions,
    console: Console,
    *,
    task: str | None = None,
    rows: Sequence[str] = (),
    rotate: Sequence[str] = (),
    seeds: int = 1,
) -> Reproduced:
    """Train and judge the rows of a table on every data set.

    Args:
        table: a key of `ROWS`.
        data: what they are run on; data sets of the paper's table that are missing are named.
        options: how heads are fitted.
        console: where tables and progress are shown.
        task: which; by default each data set's first.
        rows: only these; by default all of the table.
        rotate: groups to hold out and judge, one after the other.
        seeds: runs a row.

    Raises:
        ClipsError: there is no such table, row or data.
    """
    if table not in ROWS:
        raise ClipsError(f"there is no {table!r} to run; known are {', '.join((*ROWS, *COSTS))}")
    if seeds < 1:
        raise ClipsError(f"--seeds must be at least 1, got {seeds}")
    unknown = [row for row in rows if row not in ROWS[table]]
    if unknown:
        raise ClipsError(f"{table} has no row {', '.join(unknown)}; it has {', '.join(ROWS[table])}")
    adapted = any("adapter" in TRAINED_METHODS[method] for method in ROWS[table])
    opened = data.open(pixels=adapted)
    about = published_tables().get(table)
    for name in about.datasets if about else ():
        if name not in opened:
            console.print(f"skipped: {name} (give it as --data {name}=FOLDER)")
    if not opened:
        raise ClipsError("no data: name data sets by --data NAME=FOLDER, or token stores by --store")
    found = Reproduced()
    for name, store in opened.items():
        chosen = task or next(iter(store.tasks))
        console.print(f"{name}: {chosen}")
        results = run_rows(
            *(store, chosen, rows or ROWS[table], options),
            seeds=seeds,
            rotate=rotate,
            console=Console(quiet=True),
            done=lambda result: console.print(f"  {result.method}: {brief(result)}", highlight=False),
            backbone=data.backbone,
        )
        lines = table_rows(results, about, name, direction=chosen == DIRECTION)
        if adapted:
            lines = [[*line, *extra] for line, extra in zip(lines, cost_columns(results), strict=True)]
        found.add(console, f"{about.title if about else 'Every probe'}: {name}, {chosen}", lines)
        if table == "table3":
            found.add(console, f"Class by class: {name}", class_by_class(results))
        found.content[name] = {"task": chosen, "rows": [result.to_json() for result in results]}
    return found


def _named(entry: str) -> tuple[str, Path]:
    """NAME=FOLDER, or a path that is named after itself."""
    name, equals, path = entry.partition("=")
    if equals:
        return name, Path(path)
    return (Path(entry).parent.resolve().name if Path(entry).is_file() else Path(entry).name), Path(entry)
