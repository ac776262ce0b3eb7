"""Does the node stay as it is? Two cameras at 30 Hz for a long time over real DDS, and a planner.

    .venv/bin/python benchmarks/soak.py --minutes 30

Two bag players loop a recording into one perception node. Prints latency from an image's stamp to its labels
(p50, p99, p99.9), what became of every frame, and the node's memory, threads and open files over time. Ends
with 1 when memory grew by 1 % or more after the warm-up, a handle or a thread was left behind, or a frame is
unaccounted for; and, where nobody else used the machine, when p99.9 is 3 x p50 or more.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import sys
import tempfile
import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import rclpy
from diagnostic_msgs.msg import DiagnosticArray
from rclpy.executors import SingleThreadedExecutor
from rclpy.node import Node
from vision_msgs.msg import Classification

from step_ros.ros.demo import CameraBag
from step_ros.ros.frame_books import frame_counts, unaccounted_received
from step_ros.ros.live_run import head_config
from step_ros.ros.messages import nanoseconds_of
from step_ros.ros.processes.child_process import ChildProcess
from step_ros.ros.processes.environment import process_environment
from step_ros.runs.parameters import PARAMETERS
from step_ros.runs.recorder import versions
from step_ros.shared_files import shared_folder

CAMERAS = ("front", "wrist")
MOST_GROWTH = 0.01
"""Of memory after the warm-up, as a share."""

MOST_TAIL = 3.0
"""p99.9 of the latency, in medians, on an idle machine."""

IDLE = 0.05
"""Share of the machine's processors that others may use while it counts as idle."""


@dataclass(frozen=True)
class Sample:
    """The node's process at one moment."""

    seconds: float
    """Since the first label."""
    memory_mb: float
    """Its own memory (unique set size), in MiB."""
    handles: int
    """Open files and sockets."""
    threads: int
    """Threads."""


def take_sample(pid: int, start: float) -> Sample:
    """Look at a process."""
    rollup = Path(f"/proc/{pid}/smaps_rollup").read_text()
    private_kb = sum(int(line.split()[1]) for line in rollup.splitlines() if line.startswith("Private_"))
    return Sample(
        seconds=round(time.monotonic() - start, 1),
        memory_mb=round(private_kb / 1024, 1),
        handles=len(os.listdir(f"/proc/{pid}/fd")),
        threads=len(os.listdir(f"/proc/{pid}/task")),
    )


def busy_seconds() -> float:
    """Processor time that the machine has spent, all processes together."""
    fields = [int(field) for field in Path("/proc/stat").read_text().splitlines()[0].split()[1:]]
    return (sum(fields[:8]) - fields[3] - fields[4]) / os.sysconf("SC_CLK_TCK")


def cpu_seconds(pid: int) -> float:
    """Processor time that a process has had, all threads together."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


class Planner(Node):
    """Listens to every camera's labels and to diagnostics."""

    def __init__(self, tasks: Sequence[str]) -> None:
        super().__init__("planner", start_parameter_services=False)
        self.latencies_ms: list[float] = []
        self.labels = dict.fromkeys(CAMERAS, 0)
        self.stamps: dict[str, int] = {}
        self.went_back = 0
        self.values: dict[str, dict[str, str]] = {}
        self.worst = b"\0"
        for camera in CAMERAS:
            for task in tasks:
                topic = f"/perception/{camera}/{task}"
                self.create_subscription(
                    Classification, topic, lambda m, c=camera, t=topic: self._on_label(m, c, t), 100
                )
        self.create_subscription(DiagnosticArray, "/diagnostics", self._on_diagnostics, 10)

    def _on_label(self, message: Classification, camera: str, topic: str) -> None:
        stamp_ns = nanoseconds_of(message.header.stamp)
        self.latencies_ms.append((self.get_clock().now().nanoseconds - stamp_ns) / 1e6)
        self.labels[camera] += 1
        self.went_back += stamp_ns <= self.stamps.get(topic, 0)
        self.stamps[topic] = stamp_ns

    def _on_diagnostics(self, message: DiagnosticArray) -> None:
        for status in message.status:
            camera = status.name.rpartition(": ")[2]
            if camera in CAMERAS:
                self.values[camera] = {pair.key: pair.value for pair in status.values}


def soak(
    recording: CameraBag, models: Sequence[str], seconds: float, warm_up: float, every: float
) -> dict[str, Any]:
    """Run everything and return what was seen."""
    planner = Planner([head_config(model).task for model in models])
    executor = SingleThreadedExecutor()
    executor.add_node(planner)
    children: list[ChildProcess] = []
    samples: list[Sample] = []

    def listen(until: float) -> None:
        while time.monotonic() < until:
            executor.spin_once(timeout_sec=0.1)
        for child in children:
            child.check_alive()

    with tempfile.TemporaryDirectory() as folder:
        try:
            named = ", ".join(json.dumps(str(model)) for model in models)
            transport = "compressed" if recording.compressed else "raw"
            parameters = [
                f"models:=[{named}]",
                f"cameras:=[{','.join(CAMERAS)}]",
                f"image_transport:={transport}",
            ]
            # On a machine that cannot keep up, labels are late; here that is measured, not refused.
            parameters += ["staleness.max_age:=0.0"]
            given = [part for parameter in parameters for part in ("-p", parameter)]
            node = ChildProcess(
                "node", ["step_ros.ros.node.process", "--ros-args", *given], Path(folder, "node.log")
            )
            children.append(node)
            suffix = "/compressed" if recording.compressed else ""
            for camera in CAMERAS:
                remap = f"{recording.topic}:=/{camera}/image{suffix}"
                player = ["step_ros.ros.bag_player", str(recording.bag), "--loop"]
                player += [
                    "--wait-for-subscribers",
                    "1",
                    "--ros-args",
                    "-r",
                    f"__node:=player_{camera}",
                    "-r",
                    remap,
                ]
                children.append(ChildProcess(f"{camera} player", player, Path(folder, f"{camera}.log")))
            while not all(planner.labels.values()):
                listen(time.monotonic() + 0.5)
            start = time.monotonic()
            listen(start + warm_up)
            planner.latencies_ms.clear()
            ours = lambda: sum(cpu_seconds(child.pid) for child in children) + time.process_time()  # noqa: E731
            busy, own = busy_seconds(), ours()
            begin = time.monotonic()
            while time.monotonic() < begin + seconds:
                listen(min(time.monotonic() + every, begin + seconds))
                samples.append(take_sample(node.pid, start))
            elapsed = time.monotonic() - begin
            others = (busy_seconds() - busy) - (ours() - own)
            values = {camera: dict(planner.values[camera]) for camera in CAMERAS}
        finally:
            for child in reversed(children):
                child.stop()
            executor.shutdown()
    frames = {camera: frame_counts(books) for camera, books in values.items()}
    return {
        "seconds": round(elapsed, 1),
        "labels": len(planner.latencies_ms),
        "labels_that_went_back": planner.went_back,
        "latency_ms": {
            f"p{share:g}": round(float(np.percentile(planner.latencies_ms or [np.nan], share)), 1)
            for share in (50, 99, 99.9)
        },
        "frames": frames,
        "frames_unaccounted_for": sum(map(unaccounted_received, frames.values())),
        "memory_growth": round(growth([sample.memory_mb for sample in samples]), 4),
        "samples": [asdict(sample) for sample in samples],
        "others_share_of_cpu": round(max(0.0, others) / elapsed / (os.cpu_count() or 1), 3),
        "engine": values[CAMERAS[0]]["engine"],
        "versions": versions("rclpy"),
    }


def growth(memory_mb: Sequence[float]) -> float:
    """From the median of the first third of the samples to that of the last, as a share."""
    third = max(1, len(memory_mb) // 3)
    first = statistics.median(memory_mb[:third])
    return (statistics.median(memory_mb[-third:]) - first) / first


def shortcomings(found: dict[str, Any], most_growth: float) -> list[str]:
    """What should not be, one sentence each."""
    wrong = []
    if found["memory_growth"] >= most_growth:
        wrong.append(f"memory grew by {found['memory_growth']:.1%}, not less than {most_growth:.0%}")
    third = max(1, len(found["samples"]) // 3)
    for what in ("handles", "threads"):
        before = max(sample[what] for sample in found["samples"][:third])
        after = min(sample[what] for sample in found["samples"][-third:])
        if after > before:
            wrong.append(f"{what} grew from {before} to {after}")
    if found["frames_unaccounted_for"]:
        wrong.append(f"{found['frames_unaccounted_for']} frames are unaccounted for")
    if found["labels_that_went_back"]:
        wrong.append(f"{found['labels_that_went_back']} labels were older than the one before")
    latency = found["latency_ms"]
    if found["others_share_of_cpu"] <= IDLE and latency["p99.9"] >= MOST_TAIL * latency["p50"]:
        wrong.append(f"p99.9 is {latency['p99.9'] / latency['p50']:.1f} x p50, not less than {MOST_TAIL:g} x")
    return wrong


def main() -> int:
    """Soak, print, and judge; returns the exit code."""
    bundled = next(spec.default for spec in PARAMETERS if spec.name == "models")
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--minutes", type=float, default=30.0, help="how long to watch, after the warm-up")
    parser.add_argument(
        "--warm-up", type=float, default=60.0, help="seconds from the first labels on to leave out"
    )
    parser.add_argument(
        "--every", type=float, default=5.0, help="seconds between two looks at memory and handles"
    )
    parser.add_argument(
        "--growth", type=float, default=MOST_GROWTH, help="of memory that is too much, as a share"
    )
    parser.add_argument("--bag", type=Path, default=shared_folder() / "bags" / "tabletop")
    parser.add_argument("--models", nargs="+", default=bundled)
    parser.add_argument("--json", type=Path, help="where to write the numbers")
    options = parser.parse_args()
    os.environ.update(process_environment(os.environ))
    rclpy.init()
    try:
        recording = CameraBag.of(options.bag)
        found = soak(recording, options.models, 60 * options.minutes, options.warm_up, options.every)
    finally:
        rclpy.try_shutdown()
    if options.json:
        options.json.write_text(json.dumps(found, indent=2) + "\n")
    first, last = found["samples"][0], found["samples"][-1]
    latency = found["latency_ms"]
    print(f"{found['seconds']:.0f} s, {found['labels']} labels, engine {found['engine']}")
    print(
        "latency   "
        + ", ".join(f"{name} {value:.0f} ms" for name, value in latency.items())
        + f"; p99.9 is {latency['p99.9'] / latency['p50']:.1f} x p50"
    )
    print(
        f"memory    {first['memory_mb']:.0f} MiB, then {last['memory_mb']:.0f} MiB: "
        f"{found['memory_growth']:+.2%}; handles {first['handles']}, then {last['handles']}; "
        f"threads {first['threads']}, then {last['threads']}"
    )
    for camera, frames in found["frames"].items():
        print(f"{camera:<10}" + ", ".join(f"{count} {name}" for name, count in frames.items() if count))
    print(f"frames unaccounted for: {found['frames_unaccounted_for']}")
    others = found["others_share_of_cpu"]
    if others > IDLE:
        print(f"the tail of the latency is not judged: others used {others:.0%} of the processors")
    wrong = shortcomings(found, options.growth)
    for sentence in wrong:
        print(f"FAILED: {sentence}", file=sys.stderr)
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
