"""The folder of a replay: what was said, what is true, and how it came about."""

from __future__ import annotations

import csv
import json
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO, Any

import numpy as np
from numpy.typing import NDArray

from step_ros.frames import ClipSpec
from step_ros.perception import StableLabel
from step_ros.scores.timeline import UNLABELLED, TruthChange, TruthTimeline
from step_ros.scores.updates import Update

PREDICTIONS_BAG = "predictions.mcap"
PREDICTIONS_CSV = "predictions.csv"
PREDICTIONS_JSONL = "predictions.jsonl"
METRICS = "metrics.json"
RUN = "run.json"
REPORT = "report.html"

FORMAT = 1
"""Of run.json and predictions.jsonl; counts up when a reader of the old one would go wrong."""


class RunError(ValueError):
    """A folder is no finished replay; the message says what is missing."""


@dataclass(frozen=True)
class RunTask:
    """A task of a run."""

    labels: tuple[str, ...]
    """The K labels."""
    symmetric_pairs: tuple[tuple[str, str], ...]
    """Labels that are each other played backwards."""
    idle_label: str | None
    """The label that means that nothing happens."""


@dataclass(frozen=True, eq=False)
class RunUpdate:
    """What was said at one moment."""

    stamp_ns: int
    """Of the window's newest image."""
    window_start_ns: int
    """Grid time of the window's first position."""
    received_ns: int
    """When a planner would have had it: stamp of the image that made the window final, plus `compute_ns`."""
    log_time_ns: int
    """When that image was recorded."""
    compute_ns: int
    """What backbone and heads took."""
    held_positions: int
    """How many of the window's positions show an older image."""
    probabilities: dict[str, NDArray[np.float32]]
    """By task, (K,)."""
    changes: tuple[StableLabel, ...]
    """The stable labels that changed with it."""


@dataclass
class Run:
    """A replay and everything that it found."""

    facts: dict[str, Any]
    """What ran on what, for people: bag, image topic, models, engine, counts, versions."""
    clip: ClipSpec
    """The window."""
    span_ns: tuple[int, int]
    """Stamps of the first and the last image."""
    tasks: dict[str, RunTask]
    """What the heads answer."""
    truth: dict[str, TruthTimeline]
    """By task; tasks of which nobody knows are missing."""
    clips: dict[str, list[tuple[str, str, str]]] = field(default_factory=dict)
    """By task, of each true segment's middle window: truth, said forwards, said backwards."""
    updates: list[RunUpdate] = field(default_factory=list)
    """In the order of time."""

    def updates_of(self, task: str) -> list[Update]:
        """One task's updates as a planner would have got them."""
        labels = self.tasks[task].labels
        return [
            Update(
                task,
                labels[int(update.probabilities[task].argmax())],
                float(update.probabilities[task].max()),
                update.stamp_ns,
                update.received_ns,
            )
            for update in self.updates
        ]

    def stable_of(self, task: str) -> TruthTimeline:
        """The stable label over time, each from its onset on; the same form as the truth's.

        What is none of the head's labels is none: the node may call an absence by name.
        """
        labels = self.tasks[task].labels
        return TruthTimeline(
            TruthChange(change.onset_ns, change.label if change.label in labels else UNLABELLED)
            for update in self.updates
            for change in update.changes
            if change.task == task
        )

    def announced_of(self, task: str) -> list[str]:
        """The stable label that a planner knew at each update; empty while none held."""
        labels = self.tasks[task].labels
        known = UNLABELLED
        shown = []
        for update in self.updates:
            for change in update.changes:
                if change.task == task:
                    known = change.label if change.label in labels else UNLABELLED
            shown.append(known)
        return shown


def update_line(update: RunUpdate) -> str:
    """An update as a line of predictions.jsonl."""
    content = {
        "stamp_ns": update.stamp_ns,
        "window_start_ns": update.window_start_ns,
        "received_ns": update.received_ns,
        "log_time_ns": update.log_time_ns,
        "compute_ns": update.compute_ns,
        "held_positions": update.held_positions,
        "probabilities": {
            task: [round(float(p), 6) for p in row] for task, row in update.probabilities.items()
        },
        "changes": [
            {"task": c.task, "label": c.label, "confidence": round(c.confidence, 6), "onset_ns": c.onset_ns}
            for c in update.changes
        ],
    }
    return json.dumps(content, separators=(",", ":"))


def write_run(run: Run, folder: Path) -> None:
    """Write run.json and predictions.csv; predictions.jsonl is written update by update."""
    with (folder / PREDICTIONS_CSV).open("w", newline="", encoding="utf-8") as file:
        _write_csv(run, file)
    content = {
        "format": FORMAT,
        **run.facts,
        "clip": {"num_frames": run.clip.num_frames, "window_seconds": run.clip.window_seconds},
        "span_ns": list(run.span_ns),
        "tasks": {
            name: {
                "labels": task.labels,
                "symmetric_pairs": task.symmetric_pairs,
                "idle_label": task.idle_label,
            }
            for name, task in run.tasks.items()
        },
        "truth": {
            task: [[change.onset_ns, change.label] for change in timeline.changes]
            for task, timeline in run.truth.items()
        },
        "clips": run.clips,
    }
    (folder / RUN).write_text(json.dumps(content, indent=1) + "\n", encoding="utf-8")


def read_run(folder: Path) -> Run:
    """Read what `step-ros replay` wrote.

    Raises:
        RunError: the folder is no finished replay, or one of another version.
    """
    try:
        content = json.loads((folder / RUN).read_text(encoding="utf-8"))
        lines = (folder / PREDICTIONS_JSONL).read_text(encoding="utf-8").splitlines()
    except (OSError, ValueError) as error:
        raise RunError(
            f"{folder} is not the folder of a finished replay ({error}); "
            f"make one: step-ros replay BAG --out {folder}"
        ) from error
    if content.get("format") != FORMAT:
        raise RunError(
            f"{folder} has the format {content.get('format')}, this version reads {FORMAT}; "
            "replay the bag again"
        )
    known = ("format", "clip", "span_ns", "tasks", "truth", "clips")
    return Run(
        facts={name: value for name, value in content.items() if name not in known},
        clip=ClipSpec(**content["clip"]),
        span_ns=(content["span_ns"][0], content["span_ns"][1]),
        tasks={
            name: RunTask(
                tuple(task["labels"]),
                tuple((a, b) for a, b in task["symmetric_pairs"]),
                task["idle_label"],
            )
            for name, task in content["tasks"].items()
        },
        truth={
            task: TruthTimeline(TruthChange(onset_ns, label) for onset_ns, label in changes)
            for task, changes in content["truth"].items()
        },
        clips={task: [(t, f, b) for t, f, b in said] for task, said in content["clips"].items()},
        updates=[_read_update(json.loads(line)) for line in lines],
    )


def _read_update(content: dict[str, Any]) -> RunUpdate:
    return RunUpdate(
        **{
            name: content[name]
            for name in (
                *("stamp_ns", "window_start_ns", "received_ns", "log_time_ns"),
                *("compute_ns", "held_positions"),
            )
        },
        probabilities={
            task: np.array(row, dtype=np.float32) for task, row in content["probabilities"].items()
        },
        changes=tuple(StableLabel(**change) for change in content["changes"]),
    )


def _write_csv(run: Run, file: IO[str]) -> None:
    """A row an update and task, for spreadsheets."""
    writer = csv.writer(file)
    writer.writerow(
        ("seconds", "stamp_ns", "task", "label", "confidence", "stable", "truth", "held", "compute_ms")
    )
    announced = {task: run.announced_of(task) for task in run.tasks}
    updates = {task: run.updates_of(task) for task in run.tasks}
    for index, update in enumerate(run.updates):
        for task in run.tasks:
            said = updates[task][index]
            truth = run.truth[task].at(said.stamp_ns) if task in run.truth else UNLABELLED
            writer.writerow(
                (
                    f"{(said.stamp_ns - run.span_ns[0]) / 1e9:.3f}",
                    said.stamp_ns,
                    task,
                    said.label,
                    f"{said.confidence:.4f}",
                    announced[task][index],
                    truth,
                    update.held_positions,
                    f"{update.compute_ns / 1e6:.2f}",
                )
            )
