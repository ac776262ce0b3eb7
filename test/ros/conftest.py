"""Small models of random weights, a recording of a moving square, and the real node and player as processes."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import subprocess
import sys
import time
import uuid
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest

pytest.importorskip("rclpy", reason="no ROS 2 here")

import rclpy
import torch
from diagnostic_msgs.msg import DiagnosticArray, DiagnosticStatus
from rclpy.executors import SingleThreadedExecutor
from rclpy.node import Node
from rclpy.qos import DurabilityPolicy, QoSProfile
from rosbags.rosbag2 import StoragePlugin, Writer

from step_ros.backbones import Backbone
from step_ros.frames import ClipSpec, typestore
from step_ros.probes import Head, HeadConfig, ProbeConfig
from step_ros.ros.process_environment import process_environment

FRAME_ID = "camera_color_optical_frame"
RATE = 30
START_NS = 1_700_000_000_000_000_000
CLIP = ClipSpec(num_frames=8, window_seconds=0.8)
LABELS = {
    "atomic_action": ("idle", "push", "pull", "open", "close"),
    "object": ("idle", "cup", "box"),
}
PAIRS = {"atomic_action": (("push", "pull"), ("open", "close")), "object": ()}


def make_backbone(folder: Path, seed: int) -> Path:
    from transformers import ViTConfig, ViTModel

    torch.manual_seed(seed)
    config = ViTConfig(
        hidden_size=16,
        num_hidden_layers=1,
        num_attention_heads=2,
        intermediate_size=32,
        image_size=32,
        patch_size=16,
    )
    ViTModel(config, add_pooling_layer=False).save_pretrained(folder)
    preprocessor = {
        "size": {"height": 32, "width": 32},
        "do_resize": True,
        "do_rescale": True,
        "rescale_factor": 1 / 255,
        "do_normalize": True,
        "image_mean": [0.5, 0.5, 0.5],
        "image_std": [0.5, 0.5, 0.5],
        "image_processor_type": "ViTImageProcessor",
    }
    (folder / "preprocessor_config.json").write_text(json.dumps(preprocessor))
    return folder


def make_head(folder: Path, task: str, backbone: Path, seed: int) -> Path:
    identity = Backbone.from_pretrained(backbone).identity
    torch.manual_seed(seed)
    head = Head(
        HeadConfig(
            task=task,
            labels=LABELS[task],
            clip=CLIP,
            probe=ProbeConfig(dim=identity.dim, num_heads=2),
            backbone=identity,
            symmetric_pairs=PAIRS[task],
            idle_label="idle",
        )
    )
    head.save_pretrained(folder)
    return folder


@dataclass(frozen=True)
class Models:
    heads: list[Path]
    foreign_head: Path
    """Trained on another backbone."""

    @property
    def parameter(self) -> str:
        return f"models:=[{','.join(str(head) for head in self.heads)}]"


@pytest.fixture(scope="session")
def models(tmp_path_factory: pytest.TempPathFactory) -> Models:
    folder = tmp_path_factory.mktemp("models")
    backbone = make_backbone(folder / "ours" / "backbone", seed=0)
    other = make_backbone(folder / "theirs" / "backbone", seed=1)
    heads = [make_head(folder / "ours" / task, task, backbone, seed=2) for task in LABELS]
    return Models(heads, make_head(folder / "ours" / "foreign", "object", other, seed=3))


def picture(index: int) -> np.ndarray:
    """A white square that moves over a textured table: uint8 (480, 640, 3), red first."""
    rows, columns = np.mgrid[0:480, 0:640]
    rgb = np.stack([rows % 200, columns % 200, (rows + columns) % 200], axis=-1).astype(np.uint8)
    left = index * 4 % 560
    rgb[200:280, left : left + 80] = 255
    return rgb


def write_bag(path: Path, *, seconds: float, storage: StoragePlugin = StoragePlugin.MCAP) -> Path:
    """Images at 30 Hz, and truth that changes every second."""
    store = typestore()
    types = store.types

    def header(stamp_ns: int) -> Any:
        stamp = types["builtin_interfaces/msg/Time"](stamp_ns // 10**9, stamp_ns % 10**9)
        return types["std_msgs/msg/Header"](stamp, FRAME_ID)

    image_type, truth_type = "sensor_msgs/msg/CompressedImage", "vision_msgs/msg/Classification"
    hypothesis = types["vision_msgs/msg/ObjectHypothesis"]
    with Writer(path, version=9, storage_plugin=storage) as writer:
        images = writer.add_connection("/camera/image_raw/compressed", image_type, typestore=store)
        truths = {
            task: writer.add_connection(f"/truth/{task}", truth_type, typestore=store) for task in LABELS
        }
        for index in range(round(seconds * RATE)):
            stamp_ns = START_NS + round(index * 1e9 / RATE)
            if index % RATE == 0:
                for task, labels in LABELS.items():
                    label = labels[index // RATE % len(labels)]
                    truth = types[truth_type](header(stamp_ns), [hypothesis(label, 1.0)])
                    writer.write(truths[task], stamp_ns, store.serialize_cdr(truth, truth_type))
            bgr = cv2.cvtColor(picture(index), cv2.COLOR_RGB2BGR)
            _, jpeg = cv2.imencode(".jpg", bgr, [cv2.IMWRITE_JPEG_QUALITY, 80])
            image = types[image_type](header(stamp_ns), "rgb8; jpeg compressed bgr8", jpeg.ravel())
            writer.write(images, stamp_ns, store.serialize_cdr(image, image_type))
    return path


@pytest.fixture(scope="session")
def bag(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_bag(tmp_path_factory.mktemp("bags") / "square", seconds=4.0)


@dataclass
class Process:
    """A process of ours and what it has said."""

    popen: subprocess.Popen[str]
    log: Path

    @property
    def output(self) -> str:
        return self.log.read_text()

    def stop(self, number: signal.Signals = signal.SIGINT, timeout: float = 20.0) -> int:
        self.popen.send_signal(number)
        return self.popen.wait(timeout)


@pytest.fixture()
def start(tmp_path: Path) -> Iterator[Callable[..., Process]]:
    """Start `python -m MODULE ARGUMENTS`; whatever still runs at the end of the test is killed."""
    processes: list[Process] = []

    def start_module(module: str, *arguments: object) -> Process:
        log = tmp_path / f"{module.rpartition('.')[2]}_{len(processes)}.log"
        with log.open("w") as output:
            popen = subprocess.Popen(
                [sys.executable, "-m", module, *map(str, arguments)],
                env={**os.environ, **process_environment(os.environ), "OMP_NUM_THREADS": "1"},
                stdout=output,
                stderr=subprocess.STDOUT,
                text=True,
            )
        processes.append(Process(popen, log))
        return processes[-1]

    yield start_module
    for process in processes:
        if process.popen.poll() is None:
            process.popen.kill()
            process.popen.wait()


@pytest.fixture()
def namespace() -> str:
    """Of this test alone, so that tests cannot hear each other."""
    return f"/test_{uuid.uuid4().hex[:8]}"


class Client(Node):
    """A planner: subscribes what it is told to and keeps what comes."""

    def __init__(self, namespace: str) -> None:
        super().__init__("planner", namespace=namespace)
        self.executor_ = SingleThreadedExecutor()
        self.executor_.add_node(self)
        self.received: dict[str, list[Any]] = {}
        self.received_at_ns: dict[str, list[int]] = {}
        self.statuses: list[DiagnosticStatus] = []
        self.create_subscription(DiagnosticArray, "/diagnostics", self._on_diagnostics, 10)

    def listen(self, message_type: type, topic: str, *, latched: bool = False) -> list[Any]:
        """Keep the messages of a topic; returns the list that grows."""
        messages = self.received.setdefault(topic, [])
        times = self.received_at_ns.setdefault(topic, [])

        def keep(message: Any) -> None:
            messages.append(message)
            times.append(time.time_ns())

        durability = DurabilityPolicy.TRANSIENT_LOCAL if latched else DurabilityPolicy.VOLATILE
        self.create_subscription(message_type, topic, keep, QoSProfile(depth=100, durability=durability))
        return messages

    def wait_for(self, condition: Callable[[], object], what: str, timeout: float = 40.0) -> Any:
        """Spin until the condition holds, and return what it gave."""
        end = time.monotonic() + timeout
        while time.monotonic() < end:
            value = condition()
            if value:
                return value
            self.executor_.spin_once(timeout_sec=0.05)
        raise AssertionError(f"waited {timeout:.0f} s in vain for {what}; diagnostics: {self.values}")

    def spin_for(self, seconds: float) -> None:
        end = time.monotonic() + seconds
        while time.monotonic() < end:
            self.executor_.spin_once(timeout_sec=0.05)

    def next_status(self) -> DiagnosticStatus:
        """The second status from now: one that says what is the case now."""
        count = len(self.statuses)
        self.wait_for(lambda: len(self.statuses) >= count + 2, "diagnostics")
        return self.statuses[-1]

    @property
    def values(self) -> dict[str, str]:
        """The newest diagnostics' values."""
        return {pair.key: pair.value for pair in self.statuses[-1].values} if self.statuses else {}

    @property
    def level(self) -> bytes | None:
        return self.statuses[-1].level if self.statuses else None

    def count(self, name: str) -> int:
        """One of the newest diagnostics' counts; 0 before the first."""
        return int(self.values.get(name, 0))

    def _on_diagnostics(self, message: DiagnosticArray) -> None:
        mine = self.get_namespace().strip("/")
        self.statuses += [status for status in message.status if status.name.startswith(mine)]


@pytest.fixture()
def client(namespace: str) -> Iterator[Client]:
    rclpy.init()
    node = Client(namespace)
    yield node
    node.executor_.shutdown()
    node.destroy_node()
    rclpy.try_shutdown()


@dataclass
class NodeStarter:
    """Starts the perception node in the test's namespace, and waits until it is ready."""

    start: Callable[..., Process]
    client: Client
    models: Models
    namespace: str
    remaps: list[str] = field(default_factory=list)

    def __call__(self, *parameters: str, remaps: tuple[str, ...] = ()) -> Process:
        arguments = ["-p", self.models.parameter, "-p", "diagnostics.period:=0.2", "-p", "device:=cpu"]
        for parameter in parameters:
            arguments += ["-p", parameter]
        for remap in remaps:
            arguments += ["-r", remap]
        process = self.start(
            "step_ros.ros.perception_node", "--ros-args", "-r", f"__ns:={self.namespace}", *arguments
        )
        self.client.wait_for(
            lambda: self.client.statuses or process.popen.poll() is not None, "the node's first diagnostics"
        )
        assert process.popen.poll() is None, process.output
        return process


@pytest.fixture()
def start_node(
    start: Callable[..., Process], client: Client, models: Models, namespace: str
) -> NodeStarter:
    return NodeStarter(start, client, models, namespace)


@contextlib.contextmanager
def show_output_on_failure(*processes: Process) -> Iterator[None]:
    try:
        yield
    except AssertionError:
        for process in processes:
            print(process.output)
        raise
