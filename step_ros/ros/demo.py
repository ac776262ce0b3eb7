"""The demo: the node watches a recording, a planner's client listens, and the truth keeps the score."""

from __future__ import annotations

import argparse
import json
import os
import shutil
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import rclpy
from rclpy.executors import ExternalShutdownException, SingleThreadedExecutor
from rclpy.utilities import remove_ros_args
from rosbags.rosbag2 import StoragePlugin, Writer
from sensor_msgs.msg import CompressedImage, Image

from step_ros.frames import BagError, image_topics, typestore
from step_ros.frames.bags.storage import open_bag
from step_ros.perception.loading import find_model
from step_ros.probes import HeadConfig, HeadError
from step_ros.ros.demo_summary import shortcomings, summarise
from step_ros.ros.demo_video import annotated_pictures
from step_ros.ros.listener import PlannerClient, Recorded
from step_ros.ros.live_table import LiveTable
from step_ros.ros.node.parameters import PARAMETERS
from step_ros.ros.processes.child_process import ChildError, ChildProcess
from step_ros.ros.processes.environment import process_environment
from step_ros.ros.processes.stop_signals import Stopped, StopSignals
from step_ros.runs.writers.video_file import write_video
from step_ros.shared_files import shared_folder

NODE = "/perception"
START_TIMEOUT = 120.0
"""Seconds that the node may take to load its models: a hub model may have to be downloaded first."""

LAST_WORDS_TIMEOUT = 20.0
"""Seconds for the node's books to balance after the last image."""


class DemoError(RuntimeError):
    """The demo cannot go on; the message says why."""


@dataclass(frozen=True)
class Scene:
    """The recording to be played."""

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
    def of(cls, bag: Path) -> Scene:
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


def run_demo(scene: Scene, models: Sequence[str], backbone: str, output: Path) -> dict[str, Any]:
    """Play the scene into the node, watch, and write everything to `output`.

    Returns:
        The summary, which is in ``output/summary.json`` as well.

    Raises:
        ChildError: the node or the player died.
        DemoError: nothing was recognised, or frames are unaccounted for.
    """
    heads = {config.task: config for config in map(head_config, models)}
    client = PlannerClient(
        NODE,
        list(heads),
        image_topic=scene.topic,
        image_type=CompressedImage if scene.compressed else Image,
    )
    executor = SingleThreadedExecutor()
    executor.add_node(client)
    children: list[ChildProcess] = []
    try:
        _check_alone(client, executor, scene.topic)
        # The player comes first: it waits, and the node knows what it offers before the first image.
        player = _start_player(scene, output / "player.log")
        children.append(player)
        node = ChildProcess("node", node_arguments(scene, models, backbone), output / "node.log")
        children.append(node)
        _watch(client, executor, scene, node, player)
        _wait_for_last_words(client, executor, node, scene.images)
        exit_code = node.stop()
    finally:
        for child in children:
            child.stop()
        executor.shutdown()
    summary = summarise(client, heads, scene.images)
    (output / "summary.json").write_text(json.dumps(summary, indent=2) + "\n")
    _write_predictions(output / "predictions", client.recorded)
    write_video(output / "annotated.mp4", annotated_pictures(client))
    failures = shortcomings(client, heads, summary["frames"])
    if exit_code:
        failures.append(f"the node ended with exit code {exit_code}:\n{node.last_words()}")
    if failures:
        raise DemoError("; ".join(failures))
    return summary


def node_arguments(scene: Scene, models: Sequence[str], backbone: str) -> list[str]:
    """The node's module and what it is given to watch a scene."""
    base = scene.topic.removesuffix("/compressed") if scene.compressed else scene.topic
    parameters = {
        "models": f"[{', '.join(json.dumps(str(model)) for model in models)}]",
        "image_transport": "compressed" if scene.compressed else "raw",
    }
    if backbone:
        parameters["backbone"] = backbone
    given = [part for name, value in parameters.items() for part in ("-p", f"{name}:={value}")]
    return ["step_ros.ros.node.process", "--ros-args", "-r", f"image:={base}", *given]


def _start_player(scene: Scene, log: Path) -> ChildProcess:
    # The node, and the planner's camera view.
    player = ["step_ros.ros.bag_player", str(scene.bag), "--wait-for-subscribers", "2"]
    return ChildProcess("bag player", player, log)


def _check_alone(client: PlannerClient, executor: SingleThreadedExecutor, image_topic: str) -> None:
    """Make sure that nobody else plays a scene in this ROS domain: two truths would mix."""
    end = time.monotonic() + 1.0
    while time.monotonic() < end:
        executor.spin_once(timeout_sec=0.05)
    busy = [topic for topic in (image_topic, f"{NODE}/{client.tasks[0]}") if client.count_publishers(topic)]
    if busy:
        raise DemoError(
            f"somebody else publishes {' and '.join(busy)} in ROS domain "
            f"{os.environ.get('ROS_DOMAIN_ID', '0')}, perhaps another demo; end it, or choose another domain "
            "with ROS_DOMAIN_ID=17"
        )


def _watch(
    client: PlannerClient,
    executor: SingleThreadedExecutor,
    scene: Scene,
    node: ChildProcess,
    player: ChildProcess,
) -> None:
    """Listen until the player has played everything."""
    ready_by = time.monotonic() + START_TIMEOUT
    with LiveTable(client, scene.seconds) as table:
        while player.exit_code is None:
            executor.spin_once(timeout_sec=0.05)
            node.check_alive()
            table.show()
            if not client.ready and time.monotonic() > ready_by:
                raise DemoError(f"the node was not ready after {START_TIMEOUT:.0f} s:\n{node.last_words()}")
    if player.exit_code:
        raise DemoError(f"the bag player failed with {player.exit_code}:\n{player.last_words()}")


def _wait_for_last_words(
    client: PlannerClient, executor: SingleThreadedExecutor, node: ChildProcess, published: int
) -> None:
    """Listen until the node says that it has dealt with every frame, or for long enough."""
    end = time.monotonic() + LAST_WORDS_TIMEOUT
    least = client.diagnostics_count + 2  # the next one may have been on its way already
    while time.monotonic() < end:
        executor.spin_once(timeout_sec=0.05)
        node.check_alive()
        values = client.values
        if client.diagnostics_count >= least and values["waiting"] == "0":
            if int(values["received"]) + int(values["lost_before_receipt"]) >= published:
                return


def _write_predictions(folder: Path, recorded: Sequence[Recorded]) -> None:
    """Write what the node said to an mcap bag."""
    shutil.rmtree(folder, ignore_errors=True)
    with Writer(folder, version=9, storage_plugin=StoragePlugin.MCAP) as writer:
        connections = {}
        for message in recorded:
            if message.topic not in connections:
                connections[message.topic] = writer.add_connection(
                    message.topic, message.msgtype, typestore=typestore()
                )
            writer.write(connections[message.topic], message.received_ns, message.cdr)


def head_config(model: str) -> HeadConfig:
    """What a head's config says of its pairs and its idle label; no topic tells a planner."""
    folder = Path(find_model(model))
    if not folder.is_dir():
        from step_ros.probes import Head

        return Head.from_pretrained(model).config
    return HeadConfig.from_json(json.loads((folder / "config.json").read_text(encoding="utf-8")))


def _report(summary: dict[str, Any], output: Path) -> str:
    def percent(value: float | None) -> str:
        return "-" if value is None else f"{value:.1%}"

    lines = ["", f"{'task':<24}{'accuracy':>10}{'pairs':>10}{'onsets found':>14}{'delay':>9}"]
    for task, share in summary["accuracy"].items():
        found = summary["onsets"][task]
        delay = "-" if found["delay_s"] is None else f"{found['delay_s']:.2f} s"
        pairs = percent(summary["pair_accuracy"].get(task))
        lines.append(f"{task:<24}{percent(share):>10}{pairs:>10}{percent(found['detected']):>14}{delay:>9}")
    latency = summary["latency_ms"]
    frames = {name: count for name, count in summary["frames"].items() if count}
    lines += [
        "",
        f"updates    {summary['updates_per_second']} a second, engine {summary['engine']}",
        f"latency    median {latency['p50']} ms, 99th percentile {latency['p99']} ms, from an image's stamp",
        "frames     " + ", ".join(f"{count} {name}" for name, count in frames.items()),
        "",
        *(f"{output / name}" for name in ("summary.json", "annotated.mp4", "predictions")),
    ]
    return "\n".join(lines)


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
    (options.output / "summary.json").unlink(missing_ok=True)  # an old one must not pass for this run's
    os.environ.update(process_environment(os.environ))
    with StopSignals() as signals:
        try:
            scene = Scene.of(options.bag or shared_folder() / "bags" / "tabletop")
            rclpy.init(args=arguments)
            summary = run_demo(scene, options.models, options.backbone, options.output)
            signals.running()
            print(_report(summary, options.output))
        except (Stopped, ExternalShutdownException):
            print("demo: stopped", file=sys.stderr)
            return 130
        except (DemoError, ChildError, BagError, HeadError, OSError, ValueError) as error:
            print(f"\ndemo: FAILED: {error}", file=sys.stderr)
            return 1
        finally:
            signals.running()
            rclpy.try_shutdown()
    return 0


if __name__ == "__main__":
    sys.exit(main())
