"""docs/performance.md from a run: what is between its markers is made anew, and the plot beside it."""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path

from step_ros.atomic_files import write_text
from step_ros.benchmark.plots import draw_costs
from step_ros.benchmark.results import Results
from step_ros.benchmark.table import COLUMNS, cells, limits, markdown
from step_ros.benchmark.targets import targets


class PageError(ValueError):
    """The page lacks a marker."""


def update_page(page: Path, results: Results, further: Mapping[str, str]) -> list[Path]:
    """Put a run's tables and plot into a page.

    Args:
        page: a Markdown file with the markers ``machine``, ``targets`` and ``rows``, and those of `further`.
        results: of a run.
        further: what goes between other markers, by their names.

    Returns:
        The files written: the page, and the plot in a folder beside it of the page's name.

    Raises:
        PageError: a marker is missing.
        OSError: a file cannot be read or written.
    """
    text = page.read_text(encoding="utf-8")
    for name, content in {**_parts(results), **further}.items():
        block = re.compile(rf"(<!-- {name} -->\n).*?(<!-- /{name} -->)", re.DOTALL)
        found = block.search(text)
        if found is None:
            raise PageError(f"{page} lacks the markers <!-- {name} --> and <!-- /{name} -->; put them back")
        text = f"{text[: found.end(1)]}{content}\n{text[found.start(2) :]}"
    plot = page.with_suffix("") / "cost.png"
    draw_costs(results, plot)
    write_text(page, text)
    return [page, plot]


def _parts(results: Results) -> dict[str, str]:
    software = ", ".join(
        f"{name} {version}"
        for name, version in results.machine.items()
        if name not in ("processor", "threads", "gpu")
    )
    frames = "; ".join(
        f"{each.backbone} {each.median_ms:.1f} ms ({each.engine})" for each in results.backbone_frames
    )
    reached = [
        (target.what, target.wanted, f"{target.found:.2f}", "yes" if target.reached else "no")
        for target in targets(results)
    ]
    left_out = "".join(f"\n\nLeft out for lack of time: {case}." for case in results.left_out)
    return {
        "machine": f"{limits(results)}. {software}.\n\nOne frame in the backbone alone: {frames}.",
        "targets": markdown(("target", "wanted", "found", "reached"), reached),
        "rows": markdown(COLUMNS, [cells(row) for row in results.in_order()]) + left_out,
    }
