"""The demo: the node watches a recording, a planner listens, and the truth keeps the score."""

from __future__ import annotations

import argparse
import json
import os
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import rclpy
from rclpy.node import Node
from rclpy.signals import SignalHandlerOptions
from rclpy.utilities import remove_ros_args
from rich.console import Console

from step_ros.frames import BagError, image_topics
from step_ros.frames.bags.storage import open_bag
from step_ros.probes import HeadError
from step_ros.report.report import write_report
from step_ros.ros.frame_books import unaccounted_frames
from step_ros.ros.listener import Listener
from step_ros.ros.live_run import ListenError, ListenOptions, head_config, listen
from step_ros.ros.processes.child_process import ChildError, ChildProcess
from step_ros.ros.processes.environment import process_environment
from step_ros.ros.processes.orderly_end import OrderlyEnd
from step_ros.ros.watch import Dashboard
from step_ros.runs.metrics_table import metrics_table
from step_ros.runs.parameters import PARAMETERS
from step_ros.runs.run import Run, read_run
from step_ros.runs.settings import NODE
from step_ros.runs.writers.video import RunVideo
from step_ros.shared_files import shared_folder

PERCEPTION_NODE = f"/{NODE}"
START_TIMEOUT = 120.0
"""Seconds that the node may take to load its models: a hub model may have to be downloaded first."""

LAST_WORDS_TIMEOUT = 20.0
"""Seconds for the node's books to balance after the last image."""


class DemoError(RuntimeError):
    """The demo cannot go on; the message says why."""


@dataclass(frozen=True)
class CameraBag:
    """A recording of one camera, to be played."""

    bag: Path
    """Where it is."""
    topic: str
    """Its images."""
    msgtype: str
    """Their type."""
    images: int
    """How many there are."""
    seconds: float
    """From the first to the last."""

    @classmethod
    def of(cls, bag: Path) -> CameraBag:
        """Look into a bag.

        Raises:
            BagError: it is no bag.
            DemoError: it has not exactly one image topic.
        """
        topics = image_topics(bag)
        if len(topics) != 1:
            raise DemoError(f"{bag} must have one topic with images, it has {sorted(topics) or 'none'}")
        ((topic, msgtype),) = topics.items()
        opened = open_bag(bag)
        try:
            times_ns = [log_time_ns for log_time_ns, _ in opened.messages(topic)]
        finally:
            opened.close()
        return cls(bag, topic, msgtype, len(times_ns), (times_ns[-1] - times_ns[0]) / 1e9)

    @property
    def compressed(self) -> bool:
        """Whether the images are JPEG or PNG."""
        return self.msgtype.endswith("CompressedImage")


class Performance:
    """The node and the player as processes, while somebody listens.

    Args:
        recording: what is played.
        node: watches it.
        player: plays it, once it is listened to.
    """

    def __init__(self, recording: CameraBag, node: ChildProcess, player: ChildProcess) -> None:
        self._recording = recording
        self._node = node
        self._player = player
        self._least_status = 0
        self._end = 0.0

    def is_over(self, listener: Listener) -> bool:
        """Whether everything has been played and the node has dealt with it, or has had the time to.

        Raises:
            ChildError: the node died.
            DemoError: the player did.
        """
        self._node.check_alive()
        if self._player.exit_code is None:
            return False
        if self._player.exit_code:
            raise DemoError(
                f"the bag player failed with {self._player.exit_code}:\n{self._player.last_words()}"
            )
        if not self._end:
            self._end = time.monotonic() + LAST_WORDS_TIMEOUT
            self._least_status = listener.status_count + 2  # the next one may have been on its way already
        values = listener.values()
        if listener.status_count >= self._least_status and values["waiting"] == "0":
            if int(values["received"]) + int(values["lost_before_receipt"]) >= self._recording.images:
                return True
        return time.monotonic() > self._end


def run_demo(
    recording: CameraBag, models: Sequence[str], backbone: str, output: Path, end: OrderlyEnd
) -> dict[str, Any]:
    """Play a recording into the node, listen, and keep the run and its page in `output`.

    Returns:
        The metrics, as in ``output/metrics.json``.

    Raises:
        ChildError: the node or the player died.
        DemoError: nothing was recognised, or frames are unaccounted for.
        ListenError: the node was not ready in time.
    """
    _check_alone(recording.topic, f"{PERCEPTION_NODE}/{head_config(models[0]).task}")
    children: list[ChildProcess] = []
    try:
        # The player comes first: it waits, and the node knows what it offers before the first image.
        player = _start_player(recording, output / "player.log")
        children.append(player)
        node = ChildProcess("node", node_arguments(recording, models, backbone), output / "node.log")
        children.append(node)
        performance = Performance(recording, node, player)
        with Dashboard(whole_screen=False) as dashboard:

            def on_turn(listener: Listener) -> None:
                node.check_alive()
                dashboard.show(listener)

            metrics = listen(
                PERCEPTION_NODE,
                output,
                ListenOptions(),
                end,
                until=performance.is_over,
                start_timeout=START_TIMEOUT,
                on_turn=on_turn,
                also={"annotated.mp4": RunVideo},
            )[output]
        exit_code = node.stop()
    finally:
        for child in children:
            child.stop()
    failures = shortcomings(read_run(output), recording.images)
    if exit_code:
        failures.append(f"the node ended with exit code {exit_code}:\n{node.last_words()}")
    if failures:
        raise DemoError("; ".join(failures))
    return metrics


def node_arguments(recording: CameraBag, models: Sequence[str], backbone: str) -> list[str]:
    """The node's module and what it is given to watch a recording."""
    base = recording.topic.removesuffix("/compressed") if recording.compressed else recording.topic
    parameters = {
        "models": f"[{', '.join(json.dumps(str(model)) for model in models)}]",
        "image_transport": "compressed" if recording.compressed else "raw",
    }
    if backbone:
        parameters["backbone"] = backbone
    given = [part for name, value in parameters.items() for part in ("-p", f"{name}:={value}")]
    return ["step_ros.ros.node.process", "--ros-args", "-r", f"image:={base}", *given]


def shortcomings(run: Run, published: int) -> list[str]:
    """Why a run is no success, one sentence each; empty if it is one.

    Args:
        run: of a recording that was played once.
        published: how many images it has.
    """
    found = []
    if not run.updates:
        found.append("no label ever came from the node")
    elif not any(_recognised(run, task) for task in run.truth):
        found.append("nothing was recognised: no label but idle ever was the true one")
    missing = [task for task in run.tasks if task not in run.truth]
    if missing:
        found.append(f"the recording told no truth about {', '.join(missing)}")
    unaccounted = unaccounted_frames(run.frames, published)
    if unaccounted:
        found.append(f"{unaccounted} of {published} frames are unaccounted for: {run.frames}")
    return found


def _recognised(run: Run, task: str) -> bool:
    idle, truth = run.tasks[task].idle_label, run.truth[task]
    return any(u.label != idle and u.label == truth.at(u.stamp_ns) for u in run.updates_of(task))


def _start_player(recording: CameraBag, log: Path) -> ChildProcess:
    # The node, and who records what it sees.
    player = ["step_ros.ros.bag_player", str(recording.bag), "--wait-for-subscribers", "2"]
    return ChildProcess("bag player", player, log)


def _check_alone(*topics: str) -> None:
    """Make sure that nobody else plays a recording in this ROS domain: two truths would mix."""
    node = Node("step_ros_demo", start_parameter_services=False)
    try:
        time.sleep(1.0)  # for discovery
        busy = [topic for topic in topics if node.count_publishers(topic)]
    finally:
        node.destroy_node()
    if busy:
        raise DemoError(
            f"somebody else publishes {' and '.join(busy)} in ROS domain "
            f"{os.environ.get('ROS_DOMAIN_ID', '0')}, perhaps another demo; end it, or choose another domain "
            "with ROS_DOMAIN_ID=17"
        )


def _say(run: Run, metrics: dict[str, Any], output: Path) -> None:
    console = Console()
    console.print(metrics_table(metrics))
    latency = metrics["latency_ms"]
    frames = ", ".join(f"{count} {name}" for name, count in run.frames.items() if count)
    console.print(
        f"\nlatency    median {latency['p50']:.0f} ms, 99th percentile {latency['p99']:.0f} ms, from an "
        f"image's stamp; engine {run.facts['engine']}\nframes     {frames}\nrun        {output}",
        highlight=False,
    )


def _parser() -> argparse.ArgumentParser:
    bundled = next(spec.default for spec in PARAMETERS if spec.name == "models")
    parser = argparse.ArgumentParser(
        prog="demo",
        description="Plays a recording into the perception node; shows what a planner sees and what is true.",
    )
    parser.add_argument(
        "--bag", type=Path, help="a recording with truth topics; by default the bundled tabletop scene"
    )
    parser.add_argument("--models", nargs="+", default=bundled, help="as the node's parameter `models`")
    parser.add_argument("--backbone", default="", help="as the node's parameter `backbone`")
    parser.add_argument("--output", type=Path, default=Path("demo_output"), help="folder to write to")
    return parser


def main(args: list[str] | None = None) -> int:
    """Run the demo; returns the exit code."""
    arguments = sys.argv if args is None else ["demo", *args]
    options = _parser().parse_args(remove_ros_args(arguments)[1:])
    options.output.mkdir(parents=True, exist_ok=True)
    os.environ.update(process_environment(os.environ))
    with OrderlyEnd(patience=None) as end:
        end.in_order()
        try:
            recording = CameraBag.of(options.bag or shared_folder() / "bags" / "tabletop")
            rclpy.init(args=arguments, signal_handler_options=SignalHandlerOptions.NO)
            metrics = run_demo(recording, options.models, options.backbone, options.output, end)
            _say(read_run(options.output), metrics, options.output)
            print(f"page       {write_report(options.output)}")
        except (DemoError, ChildError, ListenError, BagError, HeadError, OSError, ValueError) as error:
            if end.asked:
                print("demo: stopped", file=sys.stderr)
                return 130
            print(f"\ndemo: FAILED: {error}", file=sys.stderr)
            return 1
        finally:
            rclpy.try_shutdown()
    return 0


if __name__ == "__main__":
    sys.exit(main())
