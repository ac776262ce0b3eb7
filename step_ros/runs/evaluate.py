"""The content of a run's metrics.json: every score of every task."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from step_ros.runs.run import Run
from step_ros.scores import live, pace
from step_ros.scores.clips import ClipScores
from step_ros.scores.live import LiveAnswers, LiveScores
from step_ros.scores.pace import PaceScores


@dataclass(frozen=True)
class RunScores(PaceScores):
    """What a whole run is scored by: its pace, and each task."""

    tasks: Mapping[str, LiveScores]
    """Of each task whose truth is known."""


def evaluate(run: Run, clips: Mapping[str, ClipScores] | None = None) -> RunScores:
    """Score what was said of a recording, whoever said it.

    Args:
        run: a replay or what a listener heard.
        clips: by task, what was found clip by clip; nothing where nobody looked at single windows.
    """
    first_ns, last_ns = run.span_ns
    positions = run.clip.num_frames
    held = [update.held_positions for update in run.updates]
    general = pace.evaluate(
        [update.stamp_ns for update in run.updates],
        [update.received_ns for update in run.updates],
        grid_times=(last_ns - first_ns) // run.clip.step_ns - positions + 1,
        compute_ns=[update.compute_ns for update in run.updates],
        held_shares=[None if count is None else count / positions for count in held],
    )
    tasks = {task: _of_task(run, task, (clips or {}).get(task)) for task in run.truth}
    return RunScores(**vars(general), tasks=tasks)


def _of_task(run: Run, task: str, clips: ClipScores | None) -> LiveScores:
    described = run.tasks[task]
    said = LiveAnswers(
        updates=run.updates_of(task),
        probabilities=[update.probabilities[task] for update in run.answers(task)],
        announced=run.announced_of(task),
        stable=run.stable_of(task),
    )
    return live.evaluate(
        said,
        run.truth[task],
        described.labels,
        described.symmetric_pairs,
        idle_label=described.idle_label,
        span_ns=run.span_ns,
        clips=clips,
    )
