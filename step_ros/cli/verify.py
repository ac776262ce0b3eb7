"""Whether a token store is as it was written: `step-ros verify`."""

from __future__ import annotations

from pathlib import Path

from rich.console import Console


def verify(store: Path) -> None:
    """Compare a token store with what was written, and with the videos that are still where they were.

    All are read as a whole.

    Args:
        store: a folder that `step-ros extract` made.
    """
    from step_ros.training.store import open_store

    opened, console = open_store(store), Console()
    wrong = opened.verify()
    for line in wrong:
        console.print(line, markup=False)
    if wrong:
        raise SystemExit(1)
    console.print(f"{store} is whole", markup=False)
    if elsewhere := opened.videos_elsewhere():
        console.print(
            f"not compared, for they are no longer where they were: {len(elsewhere)} of "
            f"{len(opened.videos)} videos"
        )
