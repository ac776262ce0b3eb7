"""What a benchmark found, in a page of the documentation: `step-ros benchmark-page`."""

from __future__ import annotations

from pathlib import Path

from rich.console import Console


def benchmark_page(results: Path, page: Path = Path("docs/performance.md")) -> None:
    """Put a run's tables and plots into a page of the documentation.

    Args:
        results: a file that `step-ros benchmark --json` wrote.
        page: a Markdown file with markers; plots go to the folder beside it of the same name.
    """
    from step_ros.benchmark.page import update_page
    from step_ros.benchmark.results import Results
    from step_ros.paper.clip_counts import clip_counts, counts_table, draw_counts

    run = Results.load(results)
    counts = clip_counts(run)
    written = update_page(page, run, {"paper": counts_table(counts)})
    if counts:
        written.append(page.with_suffix("") / "flops.png")
        draw_counts(counts, written[-1])
    for path in written:
        Console().print(f"{path}", highlight=False)
