"""The content of a run's metrics.json: every score of every task."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torchmetrics.functional.classification import multiclass_average_precision, multiclass_calibration_error

from step_ros.runs.run import Run
from step_ros.scores.clips import ClipMetrics
from step_ros.scores.segments import OVERLAPS, edit_score, f1_score
from step_ros.scores.stability import false_starts_per_minute, flips_per_minute, labelled_ns
from step_ros.scores.updates import (
    UNLABELLED,
    accuracy,
    latencies_ms,
    onsets,
    pair_accuracy,
    percentile,
    rate_hz,
)

CALIBRATION_BINS = 15


def summarise(run: Run, clips: Mapping[str, ClipMetrics]) -> dict[str, Any]:
    """Metrics as a JSON object; shares are in [0, 1], and null where there is nothing to count.

    Args:
        run: whoever said it.
        clips: by task, what was found clip by clip.
    """
    first_ns, last_ns = run.span_ns
    stamps_ns = [update.stamp_ns for update in run.updates]
    grid_steps = max(1, (last_ns - first_ns) // run.clip.step_ns - run.clip.num_frames + 1)
    held = [u.held_positions / run.clip.num_frames for u in run.updates if u.held_positions is not None]
    compute_ms = [u.compute_ns / 1e6 for u in run.updates if u.compute_ns is not None]
    late_ms = latencies_ms(run.updates_of(next(iter(run.tasks)))) if run.updates else []
    return {
        "updates": len(run.updates),
        "updates_per_second": _rounded(rate_hz(stamps_ns)),
        "coverage": _rounded(min(1.0, len(run.updates) / grid_steps)),
        "hold_share": _rounded(float(np.mean(held)) if held else math.nan),
        "latency_ms": {"p50": _rounded(percentile(late_ms, 50)), "p99": _rounded(percentile(late_ms, 99))},
        "compute_ms": {
            "p50": _rounded(percentile(compute_ms, 50)),
            "p99": _rounded(percentile(compute_ms, 99)),
        },
        "tasks": {
            task: {
                **_online(run, task),
                "clips": clips[task].to_json() if task in clips else None,
            }
            for task in run.truth
        },
    }


def _online(run: Run, task: str) -> dict[str, Any]:
    """One task's scores."""
    described, truth = run.tasks[task], run.truth[task]
    first_ns, last_ns = run.span_ns
    idle = [described.idle_label] if described.idle_label else []
    updates = run.updates_of(task)
    stamps_ns = [update.stamp_ns for update in updates]
    true = [truth.at(stamp_ns) for stamp_ns in stamps_ns]
    labelled = [index for index, label in enumerate(true) if label != UNLABELLED]
    said = [update.label for update in updates]
    announced = run.announced_of(task)
    found = onsets(updates, truth, ignored=idle)
    said_l, true_l = [said[i] for i in labelled], [true[i] for i in labelled]
    pairs = described.symmetric_pairs
    paired = {label for pair in pairs for label in pair}
    other = [said[i] == true[i] for i in labelled if true[i] not in paired]
    speaking = [i for i in labelled if announced[i] != UNLABELLED]
    return {
        "labelled_updates": len(labelled),
        "labelled_seconds": _rounded(labelled_ns(truth, first_ns, last_ns) / 1e9),
        "accuracy": _rounded(accuracy(updates, truth)),
        "symmetric": _rounded(pair_accuracy(updates, truth, pairs)),
        "non_symmetric": _rounded(_share(other)),
        **_probability_scores(run, task, true, labelled),
        **{
            f"f1@{round(100 * overlap)}": _rounded(f1_score(said_l, true_l, overlap, idle))
            if labelled
            else None
            for overlap in OVERLAPS
        },
        "edit": _rounded(edit_score(said_l, true_l, idle)) if labelled else None,
        "onsets": {
            "count": len(found.delays_s) + found.missed,
            "detected": _rounded(found.detected),
            "delay_s": _rounded(found.median_s),
        },
        "flips_per_minute": _rounded(flips_per_minute(said, stamps_ns, truth, last_ns)),
        "stable": {
            "accuracy": _rounded(_share([announced[i] == true[i] for i in speaking])),
            "coverage": _rounded(len(speaking) / len(labelled) if labelled else math.nan),
            "flips_per_minute": _rounded(flips_per_minute(announced, stamps_ns, truth, last_ns)),
            "false_starts_per_minute": _rounded(
                false_starts_per_minute(run.stable_of(task), truth, first_ns, last_ns, idle)
            ),
        },
        "pairs": {f"{a} / {b}": _pair_confusion(said_l, true_l, a, b) for a, b in pairs},
    }


def _probability_scores(
    run: Run, task: str, true: Sequence[str], labelled: Sequence[int]
) -> dict[str, float | None]:
    """Mean average precision over the classes that occur, and the expected calibration error."""
    labels = run.tasks[task].labels
    index = {label: i for i, label in enumerate(labels)}
    known = [i for i in labelled if true[i] in index]
    if not known:
        return {"map": None, "calibration_error": None}
    answers = run.answers(task)
    rows: NDArray[np.float32] = np.stack([answers[i].probabilities[task] for i in known])
    if np.isnan(rows).any():  # a live node names its top k
        return {"map": None, "calibration_error": None}
    probabilities = torch.from_numpy(rows)
    targets = torch.tensor([index[true[i]] for i in known])
    by_class = multiclass_average_precision(probabilities, targets, len(labels), average=None)
    present = torch.bincount(targets, minlength=len(labels)) > 0
    error = multiclass_calibration_error(probabilities, targets, len(labels), n_bins=CALIBRATION_BINS)
    return {
        "map": _rounded(float(by_class[present].mean())),
        "calibration_error": _rounded(float(error)),
    }


def _pair_confusion(said: Sequence[str], true: Sequence[str], a: str, b: str) -> dict[str, Any] | None:
    """Shares of the time of each of two partners that it was told as itself, its partner, anything else."""
    result: dict[str, Any] = {}
    for label, partner in ((a, b), (b, a)):
        told = [s for s, t in zip(said, true, strict=True) if t == label]
        result[label] = {
            "updates": len(told),
            "right": _rounded(_share([s == label for s in told])),
            "partner": _rounded(_share([s == partner for s in told])),
            "other": _rounded(_share([s not in (label, partner) for s in told])),
        }
    return result if any(entry["updates"] for entry in result.values()) else None


def _share(outcomes: Sequence[bool]) -> float:
    return sum(outcomes) / len(outcomes) if outcomes else math.nan


def _rounded(value: float) -> float | None:
    """JSON has no NaN."""
    return None if math.isnan(value) else round(value, 4)
