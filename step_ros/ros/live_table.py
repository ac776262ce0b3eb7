"""What the planner knows right now, for people to watch."""

from __future__ import annotations

import math
import sys
import time
from types import TracebackType

from rich import box
from rich.console import Console
from rich.live import Live
from rich.table import Table
from rich.text import Text

from step_ros.ros.listener import PlannerClient
from step_ros.scores.timeline import TruthTimeline
from step_ros.scores.updates import rate_hz

REFRESH = 0.2
"""Seconds between two pictures of the table on a terminal."""

LINE_EVERY = 5.0
"""Seconds between two lines where the output is no terminal."""


class LiveTable:
    """A table that is drawn anew on a terminal, or a line now and then where there is none.

    Args:
        client: whose knowledge is shown.
        seconds: how long the recording is, for the title.
    """

    def __init__(self, client: PlannerClient, seconds: float) -> None:
        self._client = client
        self._seconds = seconds
        self._start: float | None = None
        self._next = 0.0
        self._console = Console()
        self._live: Live | None = None

    def show(self) -> None:
        """Bring the picture up to date, if it is time for that."""
        now = time.monotonic()
        if now < self._next:
            return
        if self._start is None and any(self._client.truth.values()):
            self._start = now
        if self._live is not None:
            self._live.update(self._table(), refresh=True)
            self._next = now + REFRESH
        elif self._start is not None:
            print(self._line(), flush=True)
            self._next = now + LINE_EVERY

    def _elapsed(self) -> str:
        if self._start is None:
            return "starting"
        seconds = min(time.monotonic() - self._start, self._seconds)
        return f"{seconds:.0f} of {self._seconds:.0f} s"

    def _rows(self) -> list[tuple[str, str, float, str, float]]:
        """Task, label, confidence, truth and latency (ms) of each task with labels."""
        rows = []
        for task, updates in self._client.updates.items():
            if updates:
                last = updates[-1]
                truth = TruthTimeline(self._client.truth[task]).at(last.stamp_ns)
                rows.append(
                    (task, last.label, last.confidence, truth, (last.received_ns - last.stamp_ns) / 1e6)
                )
        return rows

    def _table(self) -> Table:
        updates = next(iter(self._client.updates.values()))[-20:]
        rate = rate_hz([update.received_ns for update in updates])
        title = [self._elapsed(), f"{self._client.values.get('received', 0)} frames"]
        title += [f"{rate:.1f} updates/s"] if math.isfinite(rate) else []
        # Plain and narrow: five columns in the 80 characters that every terminal has.
        table = Table(title="   ".join(title), title_justify="left", box=box.SIMPLE_HEAD, show_edge=False)
        for column, width in (("task", 19), ("label", 16), ("conf.", 5), ("truth", 16), ("latency", 7)):
            justify = "right" if column in ("conf.", "latency") else "left"
            table.add_column(column, min_width=width, justify=justify, no_wrap=True)
        for task, label, confidence, truth, late_ms in self._rows():
            style = "" if not truth else "green" if truth == label else "red"
            table.add_row(task, Text(label, style), f"{confidence:.0%}", truth, f"{late_ms:.0f} ms")
        return table

    def _line(self) -> str:
        parts = [
            f"{task}: {label} {confidence:.0%} (truth: {truth or '-'}, {late_ms:.0f} ms)"
            for task, label, confidence, truth, late_ms in self._rows()
        ]
        return f"[{self._elapsed()}] " + ("; ".join(parts) or "filling the first window")

    def __enter__(self) -> LiveTable:
        if sys.stdout.isatty():
            self._live = Live(self._table(), console=self._console, auto_refresh=False)
            self._live.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._live is not None:
            self._live.update(self._table(), refresh=True)
            self._live.stop()
