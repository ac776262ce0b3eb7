"""A run: what was said about a recording, whoever said it, and the folder that it is kept in.

A replay fills one, and so does a listener on a live node's topics. One `evaluate` scores it, one
`RunRecorder` writes it, one report shows it.
"""

from __future__ import annotations

import json
import math
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from step_ros.atomic_files import write_text
from step_ros.frames import ClipSpec
from step_ros.perception import Direction, Perception, Prediction, StableLabel
from step_ros.probes import HeadConfig
from step_ros.scores.timeline import UNLABELLED, TruthTimeline
from step_ros.scores.updates import Update

PREDICTIONS_BAG = "predictions.mcap"
PREDICTIONS_CSV = "predictions.csv"
PREDICTIONS_JSONL = "predictions.jsonl"
METRICS = "metrics.json"
RUN = "run.json"
REPORT = "report.html"

REPLAY, LIVE = "replay", "live"
"""Who said it: a replay, or a node while somebody listened."""

FORMAT = 2
"""Of run.json and predictions.jsonl; counts up when a reader of the old one would go wrong."""


class RunError(ValueError):
    """A folder is no finished run; the message says what is missing."""


@dataclass(frozen=True)
class RunTask:
    """A task of a run."""

    labels: tuple[str, ...]
    """The K labels."""
    symmetric_pairs: tuple[tuple[str, str], ...] = ()
    """Labels that are each other played backwards."""
    idle_label: str | None = None
    """The label that means that nothing happens."""
    rejection_threshold: float = 0.0
    """The probability below which no label is believed."""

    @classmethod
    def of(cls, config: HeadConfig) -> RunTask:
        """The task that a head answers."""
        return cls(config.labels, config.symmetric_pairs, config.idle_label, config.rejection_threshold)


@dataclass(frozen=True, eq=False)
class RunUpdate:
    """What was said at one moment; what only a replay knows is None of a live node."""

    stamp_ns: int
    """Of the window's newest image."""
    received_ns: int
    """When a planner had it. Of a replay, when it would have: stamp of the image that made the window final,
    plus `compute_ns`."""
    log_time_ns: int
    """When a recorder beside the node wrote it, or would have."""
    probabilities: dict[str, NDArray[np.float32]]
    """By task, (K,); NaN where nobody said: a live node names its top k."""
    changes: tuple[StableLabel, ...]
    """The stable labels that changed with it."""
    directions: tuple[Direction, ...] = ()
    """What the window read backwards says of them, where that was checked."""
    window_start_ns: int | None = None
    """Grid time of the window's first position."""
    compute_ns: int | None = None
    """What backbone and heads took."""
    held_positions: int | None = None
    """How many of the window's positions show an older image."""

    def prediction(self, task: str, labels: tuple[str, ...]) -> Prediction | None:
        """A task's answer, 0 for what was not named; None if it gave none."""
        row = self.probabilities[task]
        return None if np.isnan(row).all() else Prediction(task, labels, np.nan_to_num(row, nan=0.0))


@dataclass
class Run:
    """What was said about a recording."""

    said_by: str
    """`REPLAY` or `LIVE`."""
    recording: str
    """The bag, to be looked at again; empty if nobody kept one."""
    image_topic: str
    """Its images."""
    clip: ClipSpec
    """The window."""
    tasks: dict[str, RunTask]
    """What the heads answer."""
    span_ns: tuple[int, int] = (0, 0)
    """Stamps of the first and the last image."""
    truth: dict[str, TruthTimeline] = field(default_factory=dict)
    """By task; tasks of which nobody knows are missing."""
    clips: dict[str, list[tuple[str, str, str]]] = field(default_factory=dict)
    """By task, of each true segment's middle window: truth, said forwards, said backwards. A replay's."""
    updates: list[RunUpdate] = field(default_factory=list)
    """In the order of time."""
    settings: dict[str, Any] = field(default_factory=dict)
    """The node's parameters by name."""
    frames: dict[str, int] = field(default_factory=dict)
    """The ledger: what became of the images, as diagnostics name it."""
    warnings: list[str] = field(default_factory=list)
    """What there was to complain about."""
    facts: dict[str, Any] = field(default_factory=dict)
    """What ran on what, for people: backbone, engine, device, where the truth is from, versions."""

    def updates_of(self, task: str) -> list[Update]:
        """One task's updates as a planner got them."""
        labels = self.tasks[task].labels
        return [
            Update(task, prediction.label, prediction.confidence, update.stamp_ns, update.received_ns)
            for update in self.answers(task)
            if (prediction := update.prediction(task, labels)) is not None
        ]

    def answers(self, task: str) -> list[RunUpdate]:
        """The updates in which a task answered: all, unless a live node changed heads or a label got lost."""
        return [update for update in self.updates if not np.isnan(update.probabilities[task]).all()]

    def perception(self, update: RunUpdate) -> Perception:
        """An update as perception said it, for what draws it; a live node's window ends with its stamp."""
        answers = [
            (task, update.prediction(task, described.labels)) for task, described in self.tasks.items()
        ]
        start_ns = update.window_start_ns
        return Perception(
            update.stamp_ns,
            update.stamp_ns - self.clip.window_ns if start_ns is None else start_ns,
            {task: prediction for task, prediction in answers if prediction is not None},
            update.held_positions or 0,
        )

    def stable_of(self, task: str) -> TruthTimeline:
        """The stable label over time, each from its onset on; the same form as the truth's.

        What is none of the head's labels is none: the node may call an absence by name.
        """
        labels = self.tasks[task].labels
        return TruthTimeline(
            (change.onset_ns, change.label if change.label in labels else UNLABELLED)
            for update in self.updates
            for change in update.changes
            if change.task == task
        )

    def announced_of(self, task: str) -> list[str]:
        """The stable label that a planner knew at each of a task's updates; empty while none held."""
        labels = self.tasks[task].labels
        known = UNLABELLED
        shown = []
        for update in self.updates:
            for change in update.changes:
                if change.task == task:
                    known = change.label if change.label in labels else UNLABELLED
            if not np.isnan(update.probabilities[task]).all():
                shown.append(known)
        return shown


def update_line(update: RunUpdate) -> str:
    """An update as a line of predictions.jsonl; null is what nobody knows."""
    content = {
        "stamp_ns": update.stamp_ns,
        "window_start_ns": update.window_start_ns,
        "received_ns": update.received_ns,
        "log_time_ns": update.log_time_ns,
        "compute_ns": update.compute_ns,
        "held_positions": update.held_positions,
        "probabilities": {
            task: [None if math.isnan(p) else round(float(p), 6) for p in row]
            for task, row in update.probabilities.items()
        },
        "changes": [
            {"task": c.task, "label": c.label, "confidence": round(c.confidence, 6), "onset_ns": c.onset_ns}
            for c in update.changes
        ],
    }
    if update.directions:
        content["directions"] = [asdict(direction) for direction in update.directions]
    return json.dumps(content, separators=(",", ":"))


def write_run(run: Run, folder: Path) -> None:
    """Write run.json: all of a run but its updates."""
    content = {"format": FORMAT, **vars(run)}
    del content["updates"]
    content["truth"] = {task: timeline.changes for task, timeline in run.truth.items()}
    text = json.dumps(content, indent=1, default=asdict)
    write_text(folder / RUN, text + "\n")


def read_run(folder: Path) -> Run:
    """Read what `step-ros replay` or `step-ros listen` wrote.

    Raises:
        RunError: the folder is no finished run, or one of another version.
    """
    try:
        content = json.loads((folder / RUN).read_text(encoding="utf-8"))
        lines = (folder / PREDICTIONS_JSONL).read_text(encoding="utf-8").splitlines()
        if content.pop("format", None) != FORMAT:
            raise RunError(
                f"{folder} is of another version, this one reads the format {FORMAT}; make the run again"
            )
        return _read_run(content, lines)
    except RunError:
        raise
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        raise RunError(
            f"{folder} is not the folder of a finished run ({error}); "
            f"make one: step-ros replay BAG --out {folder}"
        ) from error


def _read_run(content: dict[str, Any], lines: list[str]) -> Run:
    tasks = {
        name: RunTask(
            tuple(task.pop("labels")), tuple((a, b) for a, b in task.pop("symmetric_pairs")), **task
        )
        for name, task in content.pop("tasks").items()
    }
    first_ns, last_ns = content.pop("span_ns")
    return Run(
        clip=ClipSpec(**content.pop("clip")),
        span_ns=(first_ns, last_ns),
        tasks=tasks,
        truth={task: TruthTimeline(changes) for task, changes in content.pop("truth").items()},
        clips={task: [(t, f, b) for t, f, b in said] for task, said in content.pop("clips").items()},
        updates=[_read_update(json.loads(line)) for line in lines],
        **content,
    )


def _read_update(content: dict[str, Any]) -> RunUpdate:
    probabilities = {
        task: np.array([math.nan if p is None else p for p in row], dtype=np.float32)
        for task, row in content.pop("probabilities").items()
    }
    return RunUpdate(
        probabilities=probabilities,
        changes=tuple(StableLabel(**change) for change in content.pop("changes")),
        directions=tuple(Direction(**direction) for direction in content.pop("directions", ())),
        **content,
    )
