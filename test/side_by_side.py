"""Which tests run at the same time, where pytest-xdist runs them in several workers."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import pytest

TEST = Path(__file__).parent

ONE_AT_A_TIME = {"behaviour": 0, "ros": 5}
"""Folders whose tests start nodes, and the niceness of their processes: one worker runs a folder, in turn.

In `behaviour` it counts how soon something is said, so that everything else gives way.
"""

LONG = ("style", "packaging", "docs", "test_atomic_files.py", "cli", "backbones")
"""What takes long, by folder or file: begun first, so that no worker is left alone with it at the end."""

NICENESS = 10
"""Of tests in all other folders."""


def folder_of(path: Path) -> str:
    """The folder in `test/` that a file is in, or the name of a file that is in none."""
    return path.relative_to(TEST).parts[0]


def unit_of(path: Path) -> str:
    """What goes to one worker: a folder of `ONE_AT_A_TIME`, or a file, whose tests may share fixtures."""
    return folder_of(path) if folder_of(path) in ONE_AT_A_TIME else str(path)


def in_order(items: list[pytest.Item]) -> list[pytest.Item]:
    """The tests, those first that take longest until they are through."""
    first = [*ONE_AT_A_TIME, *LONG]
    return sorted(items, key=lambda item: [folder_of(item.path) != name for name in first])


def give_way(item: pytest.Item) -> None:
    """Lower the priority of this worker, and of what it starts, to that of a test."""
    if "PYTEST_XDIST_WORKER" in os.environ:
        niceness = ONE_AT_A_TIME.get(folder_of(item.path), NICENESS)
        if os.getpriority(os.PRIO_PROCESS, 0) < niceness:  # back up only root may go
            os.setpriority(os.PRIO_PROCESS, 0, niceness)


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config: pytest.Config, log: Any) -> Any:
    """One that hands out a unit at a time, in the order of the tests."""
    from xdist.scheduler import LoadScopeScheduling

    class UnitScheduling(LoadScopeScheduling):
        def _split_scope(self, nodeid: str) -> str:
            return unit_of(config.rootpath / nodeid.partition("::")[0])

    config.option.loadscopereorder = False
    return UnitScheduling(config, log)
