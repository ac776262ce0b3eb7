"""A run as a table: for the terminal, and as Markdown for the documentation."""

from __future__ import annotations

from collections.abc import Sequence

from rich.table import Table

from step_ros.benchmark.results import Results
from step_ros.benchmark.row import Row
from step_ros.benchmark.targets import Target

COLUMNS = (
    *("method", "backbone", "engine", "T", "tasks", "cameras"),
    *("median, ms", "p99, ms", "updates/s", "GFLOP", "peak, MiB", "of the limit"),
)


def cells(row: Row) -> tuple[str, ...]:
    """A row as text, one for each of `COLUMNS`."""
    return (
        *(row.method, row.backbone, row.engine, str(row.frames), str(row.tasks), str(row.cameras)),
        *(f"{row.median_ms:.1f}", f"{row.p99_ms:.1f}", f"{row.updates_per_second:.1f}"),
        *(f"{row.flops / 1e9:.0f}", f"{row.peak_mb:.0f}", f"{100 * row.roofline_fraction:.0f} %"),
    )


def rich_table(results: Results) -> Table:
    """All rows, for the terminal."""
    table = Table(caption=limits(results), caption_justify="left")
    for index, column in enumerate(COLUMNS):
        table.add_column(column, justify="left" if index < 3 else "right")
    for row in results.in_order():
        table.add_row(*cells(row))
    return table


def target_table(targets: Sequence[Target]) -> Table:
    """What was to be reached, and what was."""
    table = Table()
    for column in ("target", "wanted", "found", ""):
        table.add_column(column, justify="right" if column in ("wanted", "found") else "left")
    for target in targets:
        table.add_row(target.what, target.wanted, f"{target.found:.2f}", "yes" if target.reached else "no")
    return table


def markdown(header: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """A table in Markdown; every row is as long as the header."""
    lines = [header, ["---"] * len(header), *rows]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def limits(results: Results) -> str:
    """The device and what it could do at most, in a line."""
    roofline = results.roofline
    device = (
        results.machine.get("gpu") or f"{results.machine['processor']}, {results.machine['threads']} threads"
    )
    return (
        f"{device}; at most {roofline.flops_per_second / 1e9:.0f} GFLOP/s in products of large matrices, and "
        f"{roofline.bytes_per_second / 1e9:.0f} GB/s in copies"
    )
