"""What the planner knows right now, for people to watch."""

from __future__ import annotations

import sys
import time
from types import TracebackType

from rich.console import Console
from rich.live import Live
from rich.table import Table

from step_ros.evaluation.online import TruthTimeline, rate_hz
from step_ros.ros.planner import PlannerClient

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

    def _rows(self) -> list[tuple[str, str, float, str, str, float]]:
        """Task, label, confidence, truth, stable label, latency (ms) of each task with labels."""
        rows = []
        for task, updates in self._client.updates.items():
            if updates:
                last = updates[-1]
                truth = TruthTimeline(self._client.truth[task]).at(last.stamp_ns)
                late_ms = (last.received_ns - last.stamp_ns) / 1e6
                stable = self._client.stable.get(task, "")
                rows.append((task, last.label, last.confidence, truth, stable, late_ms))
        return rows

    def _table(self) -> Table:
        updates = next(iter(self._client.updates.values()))[-20:]
        rate = rate_hz([update.received_ns for update in updates])
        received = self._client.values.get("received", "0")
        table = Table(
            title=f"{self._elapsed()}   {received} frames   {rate:.1f} updates/s",
            title_justify="left",
            min_width=80,
        )
        table.add_column("task", min_width=20)
        table.add_column("label", min_width=20)
        table.add_column("confidence", justify="right")
        table.add_column("truth", min_width=20)
        table.add_column("stable", min_width=20)
        table.add_column("latency", justify="right")
        for task, label, confidence, truth, stable, late_ms in self._rows():
            style = "" if not truth else "green" if truth == label else "red"
            table.add_row(
                task,
                f"[{style}]{label}" if style else label,
                f"{confidence:.0%}",
                truth,
                stable,
                f"{late_ms:.0f} ms",
            )
        return table

    def _line(self) -> str:
        parts = [
            f"{task}: {label} {confidence:.0%} (truth: {truth or '-'}, {late_ms:.0f} ms)"
            for task, label, confidence, truth, _, late_ms in self._rows()
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
