"""Truth and answers over time: data for the page's timeline, and a drawing of it for paper."""

from __future__ import annotations

import base64
import colorsys
import json
from collections.abc import Sequence
from itertools import groupby
from typing import Any

import numpy as np
from numpy.typing import NDArray

from step_ros.report import svg
from step_ros.report.scored import words
from step_ros.report.second_look import FilmFrame
from step_ros.runs.run import Run, RunTask
from step_ros.scores.timeline import TruthTimeline

_TOP = 3
"""Labels that the page names of each update."""


def timeline_data(run: Run, film: Sequence[FilmFrame]) -> str:
    """What the page's script draws, as JSON that may stand inside a script element; times in seconds."""
    first_ns = run.span_ns[0]

    def seconds(stamp_ns: int) -> float:
        return round((stamp_ns - first_ns) / 1e9, 3)

    content = {
        "duration": seconds(run.span_ns[1]),
        "times": [seconds(update.stamp_ns) for update in run.updates],
        "held": [update.held_positions or 0 for update in run.updates],
        "tasks": [_task_data(run, task, seconds) for task in run.tasks],
        "film": [
            {"t": seconds(frame.stamp_ns), "jpeg": base64.b64encode(frame.jpeg).decode()} for frame in film
        ],
    }
    return json.dumps(content, separators=(",", ":")).replace("<", "\\u003c")


def _task_data(run: Run, task: str, seconds: Any) -> dict[str, Any]:
    described = run.tasks[task]
    index = {label: i for i, label in enumerate(described.labels)}
    extra = sorted(
        {change.label for change in run.truth[task].changes} - set(index) - {""}
        if task in run.truth
        else set()
    )
    index |= {label: len(index) + i for i, label in enumerate(extra)}  # true labels that the head has not
    tops = [_likeliest(update.probabilities[task]) for update in run.updates]
    return {
        "name": words(task),
        "labels": [words(label) for label in index],
        "hues": hues(described) + [None] * len(extra),
        "pairs": [[index[a], index[b]] for a, b in described.symmetric_pairs],
        "truth": _bands(run.truth.get(task), index, run.span_ns[1], seconds),
        "stable": _bands(run.stable_of(task), index, run.span_ns[1], seconds),
        "top": tops,
        "share": [
            [round(float(update.probabilities[task][i]), 3) for i in row]
            for update, row in zip(run.updates, tops, strict=True)
        ],
    }


def _likeliest(probabilities: NDArray[np.float32]) -> list[int]:
    """Indices of the likeliest labels, best first, of those whose probability is known."""
    order = np.argsort(-probabilities, kind="stable")[:_TOP]
    return [int(i) for i in order if not np.isnan(probabilities[i])]


def _bands(
    timeline: TruthTimeline | None, index: dict[str, int], end_ns: int, seconds: Any
) -> list[list[float]] | None:
    if timeline is None:
        return None
    return [[seconds(s.start_ns), seconds(s.end_ns), index[s.label]] for s in timeline.segments(end_ns)]


def hues(task: RunTask) -> list[list[float] | None]:
    """Hue in degrees and shade of each label: partners share a hue, one lighter; the idle label has none."""
    partner = {b: a for a, b in task.symmetric_pairs}
    families = [label for label in task.labels if label != task.idle_label and label not in partner]
    hue = {label: round(360 * i / max(len(families), 1)) for i, label in enumerate(families)}
    return [
        None
        if label == task.idle_label
        else [hue[partner.get(label, label)], 1.0 if label in partner else 0.0]
        for label in task.labels
    ]


def timeline_drawing(run: Run) -> str:
    """All of the timeline at once."""
    first_ns, last_ns = run.span_ns
    rows = [
        (task, row)
        for task in run.tasks
        for row in (("truth", "said", "stable") if task in run.truth else ("said", "stable"))
    ]
    with svg.figure(9.6, 0.32 * len(rows) + 0.9) as figure:
        axes = figure.subplots()
        for y, (task, row) in enumerate(rows):
            for start_ns, end_ns, label in _drawn(run, task, row):
                left, width = (start_ns - first_ns) / 1e9, (end_ns - start_ns) / 1e9
                colour = _drawn_colour(run.tasks[task], label)
                axes.barh(y, width, 0.8, left, color=colour, lw=0)
                if row == "truth" and width > (last_ns - first_ns) / 1e9 * 0.045:
                    axes.text(
                        left + width / 2, y, words(label), ha="center", va="center", fontsize=6, clip_on=True
                    )
        axes.set_yticks(range(len(rows)), [f"{words(task)}: {row}" for task, row in rows], fontsize=8)
        axes.set_ylim(len(rows) - 0.4, -0.6)
        axes.set_xlim(0, (last_ns - first_ns) / 1e9)
        axes.set_xlabel("seconds")
        axes.spines["left"].set_visible(False)
        axes.tick_params(axis="y", length=0)
        return svg.to_svg(figure, "Timeline of truth, answers and stable labels of every task")


def _drawn(run: Run, task: str, row: str) -> list[tuple[int, int, str]]:
    if row == "said":
        updates = run.updates_of(task)
        bands = []
        for label, group in groupby(updates, key=lambda update: update.label):
            stretch = list(group)
            bands.append((stretch[0].stamp_ns, stretch[-1].stamp_ns + run.clip.step_ns, label))
        return bands
    timeline = run.truth[task] if row == "truth" else run.stable_of(task)
    return [(s.start_ns, s.end_ns, s.label) for s in timeline.segments(run.span_ns[1])]


def _drawn_colour(task: RunTask, label: str) -> str | tuple[float, float, float]:
    """The page's colours, for light paper."""
    found = hues(task)[task.labels.index(label)] if label in task.labels else None
    if found is None:
        return svg.LINE
    hue, shade = found
    return colorsys.hls_to_rgb(hue / 360, 0.80 if shade else 0.62, 0.55)
