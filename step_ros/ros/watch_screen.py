"""What a watched node says, as a picture of characters."""

from __future__ import annotations

import math

from diagnostic_msgs.msg import DiagnosticStatus
from rich import box
from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from step_ros.ros.watch_client import WatchClient, WatchedTask

BARS = "▁▂▃▄▅▆▇█"
_BESIDE_HISTORY = 66  # columns that the rest of the table takes
_FEWEST_BARS, _MOST_BARS = 8, 60

_LEVELS = {
    DiagnosticStatus.OK: ("OK", "green"),
    DiagnosticStatus.WARN: ("WARNING", "yellow"),
    DiagnosticStatus.ERROR: ("ERROR", "bold red"),
    DiagnosticStatus.STALE: ("STALE", "bold red"),
}
_UNRELATED_MS = 60_000.0  # labels later than this are stamped by another clock


def screen(client: WatchClient, width: int) -> RenderableType:
    """All that there is to see, on a terminal of so many columns; 80 are enough."""
    if not client.tasks:
        return _waiting(client)
    bars = min(max(width - _BESIDE_HISTORY, _FEWEST_BARS), _MOST_BARS)
    parts: list[RenderableType] = [_status(client), _tasks(client, bars), _speed(client)]
    if client.status is not None:
        parts.append(_frames(client))
    return Group(*parts)


def line(client: WatchClient) -> str:
    """The same in one line, where the output is no terminal."""
    if not client.tasks:
        return _waiting(client).plain
    said = [
        f"{task.name}: {task.updates[-1].label} {task.updates[-1].confidence:.0%}"
        for task in client.tasks.values()
        if task.updates
    ]
    level = _level(client)[0]
    return f"[{level}] " + ("; ".join(said) or "no update yet")


def history(task: WatchedTask, bars: int = _MOST_BARS) -> Text:
    """The confidence of the newest updates, a bar each; where the label changes, the colour does."""
    text = Text()
    updates = list(task.updates)[-bars:]
    colours = ("cyan", "magenta")
    turn = 0
    for index, update in enumerate(updates):
        if index and update.label != updates[index - 1].label:
            turn = 1 - turn
        bar = BARS[min(int(max(update.confidence, 0.0) * len(BARS)), len(BARS) - 1)]
        text.append(bar, colours[turn])
    return text


def _waiting(client: WatchClient) -> Text:
    others = client.other_nodes()
    hint = f"; there are {', '.join(others)}" if others else ""
    if client.status is not None:
        return Text(f"{client.perception} is there, but offers no task yet: {client.status.message}")
    return Text(f"waiting for a perception node called {client.perception}{hint}")


def _level(client: WatchClient) -> tuple[str, str]:
    if client.status is None:
        return "NO DIAGNOSTICS", "bold red"
    age_s = (client.get_clock().now().nanoseconds - client.status_received_ns) / 1e9
    if age_s > 5.0:
        return f"SILENT FOR {age_s:.0f} s", "bold red"
    return _LEVELS.get(client.status.level, ("UNKNOWN LEVEL", "bold red"))


def _status(client: WatchClient) -> Text:
    level, style = _level(client)
    text = Text.assemble((client.perception, "bold"), "  ", (level, style))
    if client.status is not None:
        text.append(f"  {client.status.message}")
    return text


def _speed(client: WatchClient) -> Text:
    """Rates and latency; of all tasks, since one window answers them all."""
    tasks = list(client.tasks.values())
    rate = max((task.rate for task in tasks if not math.isnan(task.rate)), default=math.nan)
    p50, p99 = (
        max((task.latency_ms(p) for task in tasks if task.updates), default=math.nan) for p in (50, 99)
    )
    late = f"{_number(p50, 0)} ms median, {_number(p99, 0)} ms 99th percentile, stamp to label"
    if abs(p50) > _UNRELATED_MS:
        late = "latency unknown: images are stamped by another clock"
    return Text(f"updates {_number(rate, 1)} a second; {late}")


def _tasks(client: WatchClient, bars: int) -> Table:
    table = Table(box=box.SIMPLE_HEAD, show_edge=False, pad_edge=False)
    for name, options in {
        "task": {"min_width": 8},
        "label": {"min_width": 8},
        "conf.": {"justify": "right"},
        "history": {},
        "stable": {"min_width": 8},
    }.items():
        table.add_column(name, no_wrap=True, overflow="ellipsis", **options)
    for task in client.tasks.values():
        last = task.updates[-1] if task.updates else None
        table.add_row(
            Text(task.name),
            Text(last.label if last else "–", "bold"),
            f"{last.confidence:.0%}" if last else "–",
            history(task, bars),
            Text(task.stable or "–", "green" if task.stable else "dim"),
        )
    return table


def _frames(client: WatchClient) -> Text:
    """Where the images went, and what runs on what."""
    values = client.values
    counts = {
        name: int(value)
        for name, value in values.items()
        if value.isdigit() and int(value) and (name in ("received", "encoded") or name.startswith("dropped."))
    }
    parts = [f"{count} {name.removeprefix('dropped.').replace('_', ' ')}" for name, count in counts.items()]
    if values.get("lost_before_receipt", "0") != "0":
        parts.append(f"{values['lost_before_receipt']} lost before receipt")
    text = Text("images  " + (", ".join(parts) or "none yet"))
    runs_on = [values[name] for name in ("engine", "device", "backbone") if values.get(name)]
    if runs_on:
        text.append("\nruns    " + ", ".join(runs_on), "dim")
    if values.get("last_error"):
        text.append("\nerror   " + values["last_error"], "red")
    return text


def _number(value: float, digits: int) -> str:
    return "–" if math.isnan(value) else f"{value:.{digits}f}"
