"""The dashboard, in 80 columns."""

from __future__ import annotations

import io
from types import SimpleNamespace
from typing import Any

import pytest
from diagnostic_msgs.msg import DiagnosticStatus, KeyValue
from rich.console import Console

from step_ros.ros.listener import HeardTask
from step_ros.ros.watch_screen import BARS, history, line, screen
from step_ros.scores.updates import Update

NOW_NS = 1_700_000_000_000_000_000


def shown(client: Any, width: int = 80) -> str:
    console = Console(file=io.StringIO(), width=width, force_terminal=False)
    console.print(screen(client, width))
    return console.file.getvalue()  # type: ignore[attr-defined]


def client(
    *tasks: HeardTask,
    status: DiagnosticStatus | None = None,
    others: tuple[str, ...] = (),
    truth: str = "",
) -> Any:
    clock = SimpleNamespace(now=lambda: SimpleNamespace(nanoseconds=NOW_NS))
    values = {pair.key: pair.value for pair in status.values} if status else {}
    return SimpleNamespace(
        perception="/perception",
        tasks={task.name: task for task in tasks},
        status=status,
        status_received_ns=NOW_NS,
        values=lambda: values,
        truth={"fine_grained_action": [truth]} if truth else {},
        true_label=lambda task, stamp_ns: truth,
        other_nodes=lambda: list(others),
        get_clock=lambda: clock,
    )


def task(labels: list[str], confidence: float = 0.6) -> HeardTask:
    watched = HeardTask("fine_grained_action", stable="put_down_block")
    for index, label in enumerate(labels):
        stamp_ns = NOW_NS + index * 10**8
        watched.updates.append(Update(watched.name, label, confidence, stamp_ns, stamp_ns + 80_000_000))
    return watched


STATUS = DiagnosticStatus(
    level=DiagnosticStatus.WARN,
    message="images are lost",
    values=[
        KeyValue(key="received", value="1234"),
        KeyValue(key="dropped.overload", value="7"),
        KeyValue(key="dropped.late_frame", value="0"),
        KeyValue(key="engine", value="openvino"),
        KeyValue(key="last_error", value="corrupt_compressed: cut off"),
    ],
)


def test_everything_is_there_in_80_columns() -> None:
    text = shown(client(task(["put_down_block"] * 40), status=STATUS))
    for part in (
        "WARNING",
        "images are lost",
        "put_down_block",
        "60%",
        "10.0",
        "80",
        "7 overload",
        "openvino",
    ):
        assert part in text, part
    assert "late frame" not in text
    assert max(map(len, text.splitlines())) <= 80


def test_a_change_of_label_changes_the_historys_colour() -> None:
    bars = history(task(["open", "open", "close", "open"], confidence=0.99))
    assert bars.plain == BARS[-1] * 4
    assert [span.style for span in bars.spans] == ["cyan", "cyan", "magenta", "cyan"]


def test_stamps_of_another_clock_are_named() -> None:
    watched = task(["open"])
    watched.updates[0] = Update("x", "open", 0.5, 0, NOW_NS)
    assert "another clock" in shown(client(watched, status=STATUS))


def test_a_node_that_is_not_there_is_waited_for_and_others_are_named() -> None:
    text = shown(client(others=("/robot/perception",)))
    assert "waiting for a perception node called /perception; there are /robot/perception" in text


def test_without_a_terminal_it_is_a_line() -> None:
    assert line(client(task(["open"]), status=STATUS)) == "[WARNING] fine_grained_action: open 60%"


@pytest.mark.parametrize("width", [60, 80, 200])
def test_no_line_is_longer_than_the_terminal(width: int) -> None:
    text = shown(client(task(["put_down_block", "open"] * 30), status=STATUS), width)
    assert max(map(len, text.splitlines())) <= width


@pytest.mark.parametrize(("label", "style"), [("open", "bold green"), ("close", "bold red")])
def test_the_truth_stands_beside_the_label_where_it_is_told(label: str, style: str) -> None:
    assert "truth" not in shown(client(task([label]), status=STATUS))
    told = client(task([label]), status=STATUS, truth="open")
    text = shown(told, 120)
    assert "truth" in text and "open" in text
    styles = [span.style for cell in screen(told, 120).renderables[1].columns[1]._cells for span in [cell]]  # type: ignore[attr-defined]
    assert style in map(str, styles)
    assert "(truth: open)" in line(told)
