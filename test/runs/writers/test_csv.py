"""The csv of a run, for spreadsheets."""

from __future__ import annotations

import csv
from pathlib import Path

import numpy as np

from step_ros.frames import ClipSpec
from step_ros.runs.run import REPLAY, Run, RunTask, RunUpdate
from step_ros.runs.writers.csv import write_csv
from step_ros.scores.timeline import TruthTimeline


def test_labels_that_look_like_formulas_are_text(tmp_path: Path) -> None:
    labels = ("=1+1", "@open")
    run = Run(REPLAY, "", "/camera", ClipSpec(4, 0.4), {"verb": RunTask(labels)}, span_ns=(0, 10**9))
    run.truth = {"verb": TruthTimeline([(0, "@open")])}
    run.updates.append(RunUpdate(10**8, 10**8, 10**8, {"verb": np.array([0.9, 0.1], np.float32)}, ()))
    write_csv(run, tmp_path / "run.csv")
    with (tmp_path / "run.csv").open(newline="") as file:
        (row,) = csv.DictReader(file)
    assert (row["label"], row["truth"], row["stable"], row["confidence"]) == ("'=1+1", "'@open", "", "0.9000")
