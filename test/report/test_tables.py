"""Who adds a score adds a field: JSON, the terminal and the page show it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, Any

import numpy as np
import pytest
from rich.console import Console

pytest.importorskip("matplotlib", reason="reports need the extra `report`")
pytest.importorskip("jinja2", reason="reports need the extra `report`")

from step_ros.report import tables  # noqa: E402
from step_ros.runs import metrics_table as metrics_tables
from step_ros.runs.evaluate import RunScores  # noqa: E402
from step_ros.runs.metrics_table import metrics_table  # noqa: E402
from step_ros.scores import clips, live, pace  # noqa: E402
from step_ros.scores.live import LiveAnswers, LiveScores  # noqa: E402
from step_ros.scores.pace import PaceScores  # noqa: E402
from step_ros.scores.score import Score, described, value_at  # noqa: E402
from step_ros.scores.timeline import TruthChange, TruthTimeline  # noqa: E402
from step_ros.scores.updates import Update  # noqa: E402

SECOND = 1_000_000_000
TASK = "motion"


@dataclass(frozen=True)
class MoreScores(LiveScores):
    hesitation: Annotated[float, Score("hesitation", "s", "what nobody has measured before", ".3f")]


def scores() -> LiveScores:
    """With something to count for each score."""
    labels, pairs = ("idle", "forward", "reversed"), [("forward", "reversed")]
    truth = TruthTimeline([TruthChange(0, "idle"), TruthChange(2 * SECOND, "forward")])
    said = LiveAnswers(
        updates=[
            Update(TASK, label, 0.8, i * SECOND, i * SECOND + SECOND // 4)
            for i, label in enumerate(("idle", "idle", "forward"))
        ],
        probabilities=[np.eye(3)[i] for i in (0, 0, 1)],
        announced=["", "idle", "forward"],
        stable=TruthTimeline([TruthChange(SECOND, "idle"), TruthChange(2 * SECOND, "forward")]),
    )
    found = clips.evaluate(np.eye(3), np.eye(3)[[0, 2, 1]], np.arange(3), labels, pairs, direction=True)
    return live.evaluate(said, truth, labels, pairs, idle_label="idle", span_ns=(0, 3 * SECOND), clips=found)


def metrics(task: LiveScores) -> dict[str, Any]:
    general = pace.evaluate([0, 1], [2, 3], grid_times=2, compute_ns=[1, 1], held_shares=[0.0, 0.0])
    return RunScores(**vars(general), tasks={TASK: task}).to_json()


def terminal(content: dict[str, Any]) -> str:
    console = Console(width=200)
    with console.capture() as capture:
        console.print(metrics_table(content))
    return capture.get()


def named(score: Score) -> str:
    return score.title if score.unit in ("", "%") else f"{score.title} ({score.unit})"


def test_every_score_is_in_the_file_in_the_terminal_and_on_the_page() -> None:
    content = metrics(scores())
    printed = {line.split("  ")[0].strip(): line for line in terminal(content).splitlines()}
    page = {row[0]: row[1] for row in tables.live_table(content).rows}
    for key, score in described(LiveScores).items():
        value = value_at(content["tasks"][TASK], key)
        assert value is not None, key
        assert printed[named(score)].split()[-1] == page[named(score)] == score.text(value)


def test_all_that_the_file_has_is_shown_but_for_what_is_drawn() -> None:
    tops = {key.split(".")[0] for key in described(LiveScores)}
    assert scores().to_json().keys() - tops == {"pairs"}


def test_how_labels_came_is_in_the_file_in_the_terminal_and_on_the_page() -> None:
    content = metrics(scores())
    page = {row[0]: row[1] for row in tables.pace_table(content).rows}
    printed = " ".join(terminal(content).split())
    for key, score in described(PaceScores).items():
        value = value_at(content, key)
        assert page[named(score)] == score.text(value) != "-"
        assert f"{score.title} {score.text_with_unit(value)}" in printed


def test_a_new_field_is_all_that_a_new_score_needs(monkeypatch: pytest.MonkeyPatch) -> None:
    content = metrics(MoreScores(**vars(scores()), hesitation=0.125))
    monkeypatch.setattr(metrics_tables, "LiveScores", MoreScores)
    monkeypatch.setattr(tables, "LiveScores", MoreScores)
    assert content["tasks"][TASK]["hesitation"] == 0.125
    assert "hesitation (s)" in terminal(content) and "0.125" in terminal(content)
    assert ("hesitation (s)", "0.125", "what nobody has measured before") in tables.live_table(content).rows
