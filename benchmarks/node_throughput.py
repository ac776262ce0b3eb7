"""How much does the node do on this machine? Camera in, labels out, as two processes over real DDS.

    .venv/bin/python benchmarks/node_throughput.py --seconds 60

A bag player loops a recording into the perception node, and a planner listens. Prints, and with
--json writes, updates a second, the ledger of frames, latency from stamp to label, the node's processor
time and memory, and the seconds from its signal to its exit. The node's start is not part of it.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np
import rclpy
from rclpy.executors import SingleThreadedExecutor

from step_ros.ros.demo import PERCEPTION_NODE, CameraBag, node_arguments
from step_ros.ros.frame_books import frame_counts, unaccounted_received
from step_ros.ros.listener import Listener
from step_ros.ros.live_run import head_config
from step_ros.ros.processes.child_process import ChildProcess
from step_ros.ros.processes.environment import process_environment
from step_ros.runs.moments import Heard
from step_ros.runs.parameters import PARAMETERS
from step_ros.runs.recorder import versions
from step_ros.scores.updates import rate_hz
from step_ros.shared_files import shared_folder


def resident_mb(pid: int) -> float:
    """Memory of a process, in MiB."""
    pages = int(Path(f"/proc/{pid}/statm").read_text().split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE") / 2**20


def cpu_seconds(pid: int) -> float:
    """Processor time that a process has had, all threads together."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def measure(recording: CameraBag, models: list[str], seconds: float, warm_up: float) -> dict[str, Any]:
    """Run everything and return the numbers."""
    tasks = [head_config(model).task for model in models]
    heard: list[Heard] = []
    client = Listener(PERCEPTION_NODE, on_label=lambda label, camera: heard.append(label))
    executor = SingleThreadedExecutor()
    executor.add_node(client)
    children = []

    def listen(until: float) -> None:
        while time.monotonic() < until:
            executor.spin_once(timeout_sec=0.1)
            for child in children:
                child.check_alive()

    with tempfile.TemporaryDirectory() as folder:
        node = ChildProcess("node", node_arguments(recording, models, backbone=""), Path(folder, "node.log"))
        children.append(node)
        player = [
            "step_ros.ros.bag_player",
            str(recording.bag),
            "--loop",
            "--wait-for-subscribers",
            "1",
        ]
        children.append(ChildProcess("bag player", player, Path(folder, "player.log")))
        try:
            while not heard:
                listen(time.monotonic() + 0.5)
            listen(time.monotonic() + warm_up)
            heard.clear()
            before, before_mb, before_cpu = (
                frame_counts(client.values()),
                resident_mb(node.pid),
                cpu_seconds(node.pid),
            )
            start = time.monotonic()
            listen(start + seconds)
            elapsed = time.monotonic() - start
            after, after_mb, after_cpu = (
                frame_counts(client.values()),
                resident_mb(node.pid),
                cpu_seconds(node.pid),
            )
            asked = time.monotonic()
            node.stop()
            to_exit = time.monotonic() - asked
        finally:
            for child in children:
                child.stop()
            executor.shutdown()
    updates = [label for label in heard if not label.announcement.stable]
    one_task = [update.received_ns for update in updates if update.announcement.task == tasks[0]]
    late_ms = [(update.received_ns - update.announcement.stamp_ns) / 1e6 for update in updates]
    p50, p99 = np.percentile(late_ms or [np.nan], (50, 99)).tolist()
    frames = {name: after[name] - before[name] for name in after if name not in ("pending", "waiting")}
    return {
        "seconds": round(elapsed, 1),
        "updates_per_second": round(rate_hz(one_task), 2),
        "frames_per_second_in": round(frames["received"] / elapsed, 2),
        "frames": frames,
        "frames_unaccounted_for": unaccounted_received(after),
        "latency_ms": {"p50": round(p50, 1), "p99": round(p99, 1)},
        "node_cpus_busy": round((after_cpu - before_cpu) / elapsed, 2),
        "node_memory_mb": {"before": round(before_mb, 1), "after": round(after_mb, 1)},
        "seconds_from_signal_to_exit": round(to_exit, 2),
        "engine": client.values()["engine"],
        "versions": versions("rclpy"),
    }


def main() -> int:
    """Measure and print; returns the exit code."""
    bundled = next(spec.default for spec in PARAMETERS if spec.name == "models")
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--bag", type=Path, default=shared_folder() / "bags" / "tabletop")
    parser.add_argument("--models", nargs="+", default=bundled)
    parser.add_argument("--seconds", type=float, default=60.0, help="how long to measure")
    parser.add_argument(
        "--warm-up", type=float, default=5.0, help="seconds from the first label on to leave out"
    )
    parser.add_argument("--json", type=Path, help="where to write the numbers")
    options = parser.parse_args()
    os.environ.update(process_environment(os.environ))
    rclpy.init()
    try:
        numbers = measure(CameraBag.of(options.bag), options.models, options.seconds, options.warm_up)
    finally:
        rclpy.try_shutdown()
    text = json.dumps(numbers, indent=2)
    print(text)
    if options.json:
        options.json.write_text(text + "\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
