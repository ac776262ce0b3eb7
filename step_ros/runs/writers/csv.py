"""A run as a csv, a row an update and task, for spreadsheets."""

from __future__ import annotations

import csv
from pathlib import Path

from step_ros.atomic_files import new_file
from step_ros.runs.run import Run
from step_ros.scores.tables import harmless
from step_ros.scores.timeline import UNLABELLED

_COLUMNS = ("seconds", "stamp_ns", "task", "label", "confidence", "stable", "truth", "held", "compute_ms")


def write_csv(run: Run, path: Path) -> None:
    """Write all of a run's updates; a cell is empty where nobody knows, and labels are no formulas."""
    with new_file(path) as draft, draft.open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file)
        writer.writerow(_COLUMNS)
        rows = {
            task: list(zip(run.updates_of(task), run.announced_of(task), strict=True)) for task in run.tasks
        }
        position = dict.fromkeys(run.tasks, 0)
        for update in run.updates:
            for task, said in rows.items():
                if position[task] == len(said) or said[position[task]][0].stamp_ns != update.stamp_ns:
                    continue
                answer, stable = said[position[task]]
                position[task] += 1
                truth = run.truth[task].at(update.stamp_ns) if task in run.truth else UNLABELLED
                writer.writerow(
                    (
                        f"{(update.stamp_ns - run.span_ns[0]) / 1e9:.3f}",
                        update.stamp_ns,
                        task,
                        harmless(answer.label),
                        f"{answer.confidence:.4f}",
                        harmless(stable),
                        harmless(truth),
                        "" if update.held_positions is None else update.held_positions,
                        "" if update.compute_ns is None else f"{update.compute_ns / 1e6:.2f}",
                    )
                )
