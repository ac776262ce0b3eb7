"""What a watched node says, as a picture of characters."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from diagnostic_msgs.msg import DiagnosticStatus
from rich import box
from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from step_ros.perception.ledger import DROPPED, Fate, Ledger, Used
from step_ros.ros.listener import HeardTask, Listener
from step_ros.scores.timeline import UNLABELLED
from step_ros.scores.updates import latencies_ms, rate_hz

BARS = "▁▂▃▄▅▆▇█"
_BESIDE_HISTORY = 66  # columns that the rest of the table takes
_TRUTH = 17  # and the truth, where it is told
_FEWEST_BARS, _MOST_BARS = 8, 60

_LEVELS = {
    DiagnosticStatus.OK: ("OK", "green"),
    DiagnosticStatus.WARN: ("WARNING", "yellow"),
    DiagnosticStatus.ERROR: ("ERROR", "bold red"),
    DiagnosticStatus.STALE: ("STALE", "bold red"),
}
_NEWEST = 20  # updates that the rate is taken of
_UNRELATED_MS = 60_000.0  # labels later than this are stamped by another clock


def screen(listener: Listener, width: int) -> RenderableType:
    """All that there is to see, on a terminal of so many columns; 80 are enough."""
    if not listener.tasks:
        return _waiting(listener)
    beside = _BESIDE_HISTORY + (_TRUTH if any(listener.truth.values()) else 0)
    bars = min(max(width - beside, _FEWEST_BARS), _MOST_BARS)
    parts: list[RenderableType] = [_status(listener), _tasks(listener, bars), _speed(listener)]
    if listener.status is not None:
        parts.append(_frames(listener))
    return Group(*parts)


def line(listener: Listener) -> str:
    """The same in one line, where the output is no terminal."""
    if not listener.tasks:
        return _waiting(listener).plain
    said = [
        f"{task.name}: {last.label} {last.confidence:.0%}" + (f" (truth: {true})" if true else "")
        for task in listener.tasks.values()
        if task.updates
        for last in [task.updates[-1]]
        for true in [listener.true_label(task.task, last.stamp_ns)]
    ]
    level = _level(listener)[0]
    return f"[{level}] " + ("; ".join(said) or "no update yet")


def history(task: HeardTask, bars: int = _MOST_BARS) -> Text:
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


def _waiting(listener: Listener) -> Text:
    others = listener.other_nodes()
    hint = f"; there are {', '.join(others)}" if others else ""
    if listener.status is not None:
        return Text(f"{listener.perception} is there, but offers no task yet: {listener.status.message}")
    return Text(f"waiting for a perception node called {listener.perception}{hint}")


def _level(listener: Listener) -> tuple[str, str]:
    if listener.status is None:
        return "NO DIAGNOSTICS", "bold red"
    age_s = (listener.get_clock().now().nanoseconds - listener.status_received_ns) / 1e9
    if age_s > 5.0:
        return f"SILENT FOR {age_s:.0f} s", "bold red"
    return _LEVELS.get(listener.status.level, ("UNKNOWN LEVEL", "bold red"))


def _status(listener: Listener) -> Text:
    level, style = _level(listener)
    text = Text.assemble((listener.perception, "bold"), "  ", (level, style))
    if listener.status is not None:
        text.append(f"  {listener.status.message}")
    return text


def _speed(listener: Listener) -> Text:
    """Rates and latency; of all tasks, since one window answers them all."""
    rates, late_ms = [], [math.nan]
    for task in listener.tasks.values():
        newest = [update.received_ns for update in list(task.updates)[-_NEWEST:]]
        rates.append(rate_hz(newest))
        late_ms += latencies_ms(task.updates)
    rate = max((rate for rate in rates if rate is not None), default=math.nan)
    p50, p99 = np.percentile(late_ms[1:] or late_ms, (50, 99))
    late = f"{_number(p50, 0)} ms median, {_number(p99, 0)} ms 99th percentile, stamp to label"
    if abs(p50) > _UNRELATED_MS:
        late = "latency unknown: images are stamped by another clock"
    return Text(f"updates {_number(rate, 1)} a second; {late}")


def _tasks(listener: Listener, bars: int) -> Table:
    table = Table(box=box.SIMPLE_HEAD, show_edge=False, pad_edge=False)
    columns: dict[str, Any] = {
        "task": {"min_width": 8},
        "label": {"min_width": 8},
        "conf.": {"justify": "right"},
        "truth": {"min_width": 8},
        "history": {},
        "stable": {"min_width": 8},
    }
    known = any(listener.truth.values())
    for name, options in columns.items():
        if name != "truth" or known:
            table.add_column(name, no_wrap=True, overflow="ellipsis", **options)
    for task in listener.tasks.values():
        last = task.updates[-1] if task.updates else None
        true = listener.true_label(task.task, last.stamp_ns) if last else UNLABELLED
        style = "bold" if true == UNLABELLED else "bold green" if last and last.label == true else "bold red"
        table.add_row(
            Text(task.name),
            Text(last.label if last else "–", style),
            f"{last.confidence:.0%}" if last else "–",
            *([Text(true or "–")] if known else []),
            history(task, bars),
            Text(task.stable or "–", "green" if task.stable else "dim"),
        )
    return table


def _frames(listener: Listener) -> Text:
    """Where the images went, and what runs on what."""
    values = listener.values()
    frames = Ledger.from_json(values)
    parts = [f"{frames.received} received"] if frames.received else []
    groups: tuple[type[Fate], ...] = (Used, *DROPPED)
    told = [fate for group in groups for fate in group if frames[fate]]
    parts += [f"{frames[fate]} {fate.word.replace('_', ' ')}" for fate in told]
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
