"""Whether a token store is as it was written: `step-ros verify`."""

from __future__ import annotations

from pathlib import Path

from rich.console import Console


def verify(store: Path) -> None:
    """Read every file of a token store again, and compare it with what was written.

    Args:
        store: a folder that `step-ros extract` made.
    """
    from step_ros.training.store import open_store

    wrong = open_store(store).verify()
    for line in wrong:
        Console().print(line, markup=False)
    if wrong:
        raise SystemExit(1)
    Console().print(f"{store} is whole")
