"""What the demo found: the numbers, and whether they are good enough to call it a success."""

from __future__ import annotations

import importlib.metadata
import math
import os
import platform
from collections.abc import Mapping
from typing import Any

import numpy as np
import rclpy

from step_ros.probes import HeadConfig
from step_ros.ros.listener import PlannerClient
from step_ros.scores.timeline import TruthTimeline
from step_ros.scores.updates import (
    Onsets,
    accuracy,
    latencies_ms,
    onsets,
    pair_accuracy,
    rate_hz,
)

FATES = ("encoded", "skipped_by_sampling", "skipped_inactive", "pending", "waiting")


def summarise(client: PlannerClient, heads: Mapping[str, HeadConfig], published: int) -> dict[str, Any]:
    """The content of summary.json.

    Args:
        client: after the recording has been played.
        heads: configs by task: the planner's topics do not tell pairs and idle labels.
        published: how many images were played.
    """
    truth = {task: TruthTimeline(changes) for task, changes in client.truth.items()}
    by_task = {
        task: onsets(client.updates[task], truth[task], ignored=filter(None, [config.idle_label]))
        for task, config in heads.items()
    }
    together = sum(by_task.values(), Onsets((), 0))
    updates = [update for task_updates in client.updates.values() for update in task_updates]
    first_task = client.updates[client.tasks[0]]
    p50, p99 = np.percentile(latencies_ms(updates) or [np.nan], (50, 99)).tolist()
    values = client.values
    return {
        "accuracy": {task: _rounded(accuracy(client.updates[task], truth[task]), 4) for task in client.tasks},
        "pair_accuracy": {
            task: _rounded(pair_accuracy(client.updates[task], truth[task], config.symmetric_pairs), 4)
            for task, config in heads.items()
            if config.symmetric_pairs
        },
        "onset_delay_s": _rounded(together.median_s, 3),
        "onsets": {
            task: {
                "delay_s": _rounded(found.median_s, 3),
                "detected": _rounded(found.detected, 3),
                "count": len(found.delays_s) + found.missed,
            }
            for task, found in by_task.items()
        },
        "updates": {task: len(client.updates[task]) for task in client.tasks},
        "updates_per_second": _rounded(rate_hz([update.received_ns for update in first_task]), 2),
        "latency_ms": {"p50": _rounded(p50, 1), "p99": _rounded(p99, 1)},
        "frames": {"published": published, **frame_counts(values)},
        "engine": values.get("engine", ""),
        "device": values.get("device", ""),
        "backbone": values.get("backbone", ""),
        "versions": versions(),
    }


def frame_counts(values: Mapping[str, str]) -> dict[str, int]:
    """The frame ledger, as diagnostics tell it: every cause by name."""
    names = ("received", "lost_before_receipt", *FATES)
    counts = {name: int(values[name]) for name in names if name in values}
    return counts | {name: int(value) for name, value in values.items() if name.startswith("dropped.")}


def unaccounted_frames(frames: Mapping[str, int]) -> int:
    """How many published frames nobody can say the fate of; 0 if the books balance."""
    outside = frames["published"] - frames.get("received", 0) - frames.get("lost_before_receipt", 0)
    return abs(outside) + unaccounted_received(frames)


def unaccounted_received(frames: Mapping[str, int]) -> int:
    """The same of the frames that the node received."""
    fates = sum(frames.get(fate, 0) for fate in FATES)
    drops = sum(count for name, count in frames.items() if name.startswith("dropped."))
    return abs(frames.get("received", 0) - fates - drops)


def shortcomings(
    client: PlannerClient, heads: Mapping[str, HeadConfig], frames: Mapping[str, int]
) -> list[str]:
    """Why the demo has failed, one sentence each; empty if it has not."""
    found = []
    if not any(client.updates.values()):
        found.append("no label ever came from the node")
    elif not _anything_recognised(client, heads):
        found.append("nothing was recognised: no label but idle ever was the true one")
    missing = [task for task in client.tasks if not client.truth[task]]
    if missing:
        found.append(f"the recording told no truth about {', '.join(missing)}")
    unaccounted = unaccounted_frames(frames)
    if unaccounted:
        found.append(f"{unaccounted} frames are unaccounted for: {dict(frames)}")
    return found


def versions() -> dict[str, str]:
    """Of what decides about the numbers."""
    return {
        "step_ros": _version("step_ros"),
        "python": platform.python_version(),
        "torch": _version("torch"),
        "transformers": _version("transformers"),
        "numpy": _version("numpy"),
        "opencv": _version("opencv-python-headless", "opencv-python"),
        "rclpy": _version("rclpy", "ros-rclpy"),
        "ros_distro": os.environ.get("ROS_DISTRO", ""),
        "rmw": rclpy.get_rmw_implementation_identifier(),
        "machine": f"{platform.machine()}, {os.cpu_count()} CPUs",
    }


def _anything_recognised(client: PlannerClient, heads: Mapping[str, HeadConfig]) -> bool:
    for task, config in heads.items():
        timeline = TruthTimeline(client.truth[task])
        for update in client.updates[task]:
            if update.label != config.idle_label and update.label == timeline.at(update.stamp_ns):
                return True
    return False


def _version(*names: str) -> str:
    for name in names:
        try:
            return importlib.metadata.version(name)
        except importlib.metadata.PackageNotFoundError:
            continue
    return ""


def _rounded(value: float, digits: int) -> float | None:
    """JSON has no NaN."""
    return None if math.isnan(value) else round(value, digits)
