"""A ROS graph to try things in: a namespace with a planner in it, and processes that are started into it."""

from __future__ import annotations

import array
import contextlib
import os
import signal
import subprocess
import sys
import time
import uuid
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest

rclpy = pytest.importorskip("rclpy", reason="there is no ROS 2 here")

from diagnostic_msgs.msg import DiagnosticArray, DiagnosticStatus  # noqa: E402
from rcl_interfaces.srv import SetParameters  # noqa: E402
from rclpy.executors import SingleThreadedExecutor  # noqa: E402
from rclpy.node import Node  # noqa: E402
from rclpy.parameter import Parameter  # noqa: E402
from rclpy.qos import DurabilityPolicy, QoSProfile, ReliabilityPolicy  # noqa: E402
from sensor_msgs.msg import Image  # noqa: E402

from step_ros.ros.messages import stamp_of  # noqa: E402
from step_ros.ros.processes.environment import process_environment  # noqa: E402

from .sure_models import LABELS, Models, Recording  # noqa: E402

PATIENCE = float(os.environ.get("STEP_ROS_PATIENCE", "120"))
"""Seconds for what takes a few where nothing else runs."""


class Process:
    """A process of ours and what it has said."""

    def __init__(self, arguments: Sequence[str], log: Path) -> None:
        self.log = log
        with log.open("w") as output:
            self.popen = subprocess.Popen(
                [sys.executable, "-m", *arguments],
                env={**os.environ, **process_environment(os.environ), "OMP_NUM_THREADS": "1"},
                stdout=output,
                stderr=subprocess.STDOUT,
            )

    @property
    def output(self) -> str:
        return self.log.read_text()

    @property
    def running(self) -> bool:
        return self.popen.poll() is None

    def signal(self, number: signal.Signals) -> None:
        self.popen.send_signal(number)

    def wait(self, timeout: float = PATIENCE) -> int:
        """Its exit code."""
        return self.popen.wait(timeout)

    def kill(self) -> None:
        if self.running:
            self.popen.kill()
            self.popen.wait()


class Client(Node):
    """A planner: subscribes what it is told to and keeps what comes."""

    def __init__(self, namespace: str, context: Any) -> None:
        super().__init__("planner", namespace=namespace, context=context)
        self.statuses: list[DiagnosticStatus] = []
        """Of the node, or of its one camera."""
        self.camera_statuses: dict[str, list[DiagnosticStatus]] = {}
        """Of each of several cameras, by name."""
        self.create_subscription(DiagnosticArray, "/diagnostics", self._on_diagnostics, 100)

    def listen(self, message_type: type, topic: str, *, latched: bool = False, qos: Any = None) -> list[Any]:
        """Keep the messages of a topic, in the list that is returned."""
        messages: list[Any] = []
        durability = DurabilityPolicy.TRANSIENT_LOCAL if latched else DurabilityPolicy.VOLATILE
        profile = qos or QoSProfile(depth=1000, durability=durability)
        self.create_subscription(message_type, topic, messages.append, profile)
        return messages

    @property
    def values(self) -> dict[str, str]:
        """The newest diagnostics' values."""
        return {pair.key: pair.value for pair in self.statuses[-1].values} if self.statuses else {}

    def count(self, name: str) -> int:
        """One of the newest diagnostics' counts; 0 before the first."""
        return int(self.values.get(name, 0))

    def _on_diagnostics(self, message: DiagnosticArray) -> None:
        mine = self.get_namespace().strip("/") + "/"
        for status in message.status:
            if status.name.startswith(mine):
                node, _, part = status.name.rpartition(": ")
                kept = self.statuses if part == "pipeline" else self.camera_statuses.setdefault(part, [])
                kept.append(status)


class Film:
    """A camera that sends small raw images for as long as the graph spins, and may be told to misbehave.

    Args:
        client: whose publisher and timer it is.
        topic: of the images.
        rate: images a second.
        reliable: what it offers.
    """

    def __init__(self, client: Client, topic: str, rate: float, reliable: bool) -> None:
        self._client = client
        policy = ReliabilityPolicy.RELIABLE if reliable else ReliabilityPolicy.BEST_EFFORT
        self._publisher = client.create_publisher(Image, topic, QoSProfile(depth=10, reliability=policy))
        self.running = True
        self.shift_ns = 0
        """Added to every stamp."""
        self.size = (48, 64)
        """Rows and columns."""
        self.encoding = "rgb8"
        self.frame_id = "camera"
        self.shade: int | None = None
        """Of every pixel; None changes from image to image."""
        self.every = 1
        """One image in so many is sent."""
        self.sent = 0
        self._count = 0
        self._timer = client.create_timer(1 / rate, self._send)

    def _send(self) -> None:
        self._count += 1
        if not self.running or self._count % self.every:
            return
        height, width = self.size
        channels = 3 if self.encoding in ("rgb8", "bgr8") else 1
        image = Image(height=height, width=width, encoding=self.encoding, step=channels * width)
        shade = self.sent % 251 if self.shade is None else self.shade
        image.data = array.array("B", bytes([shade]) * (channels * width * height))
        image.header.stamp = stamp_of(self._client.get_clock().now().nanoseconds + self.shift_ns)
        image.header.frame_id = self.frame_id
        self._publisher.publish(image)
        self.sent += 1

    def close(self) -> None:
        self._client.destroy_timer(self._timer)
        self._client.destroy_publisher(self._publisher)


class Graph:
    """A namespace of its own with a planner in it, and the processes that are started into it."""

    def __init__(self, folder: Path, models: Models) -> None:
        self.namespace = f"/test_{uuid.uuid4().hex[:8]}"
        self.context = rclpy.Context()
        rclpy.init(context=self.context)
        self.client = Client(self.namespace, self.context)
        self._executor = SingleThreadedExecutor(context=self.context)
        self._executor.add_node(self.client)
        self._folder = folder
        self._models = models
        self._processes: list[Process] = []

    def start(self, module: str, *arguments: object) -> Process:
        """Start `python -m MODULE ARGUMENTS`; what still runs at the end of the test is killed."""
        log = self._folder / f"{len(self._processes)}_{module.rpartition('.')[2]}.log"
        self._processes.append(Process([module, *map(str, arguments)], log))
        return self._processes[-1]

    def start_node(
        self,
        *parameters: str,
        image: str = "image",
        models: Sequence[Path] = (),
        module: str = "step_ros.ros.node.process",
    ) -> Process:
        """Start the perception node, or a module that runs it, without waiting for it."""
        heads = ",".join(map(str, models or self._models.heads))
        given = [f"models:=[{heads}]", "diagnostics.period:=0.1", "device:=cpu", "engine:=eager"]
        # On a busy machine labels may be late, which only tests of that shall notice.
        given += ["staleness.max_age:=30.0", "staleness.timeout:=30.0", *parameters]
        arguments = [part for parameter in given for part in ("-p", parameter)]
        remaps = ["-r", f"__ns:={self.namespace}", "-r", f"image:={image}"]
        return self.start(module, "--ros-args", *remaps, *arguments)

    def start_ready_node(
        self, *parameters: str, image: str = "image", models: Sequence[Path] = ()
    ) -> Process:
        """Start the perception node and wait until it is active."""
        node = self.start_node(*parameters, image=image, models=models)
        self.wait_for(
            lambda: self.client.values.get("state") == "active" or not node.running, "the node to be active"
        )
        assert node.running, node.output
        return node

    def start_player(self, recording: Recording, *options: object, subscribers: int = 1) -> Process:
        """Play a recording to this graph's `camera` and `truth`."""
        tasks = [f"/truth/{task}" for task in LABELS]
        topics = {"/camera/image_raw/compressed": f"{self.namespace}/camera/compressed"}
        topics |= {topic: self.namespace + topic for topic in tasks}
        remaps = [part for old, new in topics.items() for part in ("-r", f"{old}:={new}")]
        waiting = ("--wait-for-subscribers", subscribers)
        return self.start(
            "step_ros.ros.bag_player", recording.path, *waiting, *options, "--ros-args", *remaps
        )

    def film(self, topic: str = "image", *, rate: float = 20.0, reliable: bool = True) -> Film:
        """A camera that runs while this graph spins."""
        return Film(self.client, topic, rate, reliable)

    def spin(self, seconds: float) -> None:
        """Spin for a while."""
        end = time.monotonic() + seconds
        while time.monotonic() < end:
            self._executor.spin_once(timeout_sec=0.02)

    def call(self, service_type: type, name: str, request: Any) -> Any:
        """Call a service of the perception node; returns its answer."""
        client = self.client.create_client(service_type, f"perception/{name}")
        self.wait_for(client.service_is_ready, f"the service {name}")
        future = client.call_async(request)
        self.wait_for(future.done, f"the answer of {name}")
        self.client.destroy_client(client)
        return future.result()

    def set_parameter(self, name: str, value: Any) -> str:
        """Set a parameter of the perception node; returns why that was refused, empty if it was not."""
        parameter = Parameter(name, value=value).to_parameter_msg()
        (result,) = self.call(
            SetParameters, "set_parameters", SetParameters.Request(parameters=[parameter])
        ).results
        assert result.successful or result.reason
        return "" if result.successful else result.reason

    def wait_for(self, condition: Callable[[], Any], what: str, timeout: float = PATIENCE) -> Any:
        """Spin until the condition holds; returns what it gave."""
        end = time.monotonic() + timeout
        while time.monotonic() < end:
            value = condition()
            if value:
                return value
            self._executor.spin_once(timeout_sec=0.02)
        said = "\n".join(process.output for process in self._processes)
        pytest.fail(f"waited in vain for {what}; diagnostics: {self.client.values}; processes said:\n{said}")

    def spin_until_exit(self, process: Process, timeout: float = PATIENCE) -> int:
        """Spin until a process ends; returns its exit code."""
        self.wait_for(lambda: not process.running, "the end of a process", timeout)
        return process.wait()

    def next_status(self) -> DiagnosticStatus:
        """A status that was made after this call."""
        count = len(self.client.statuses)
        self.wait_for(lambda: len(self.client.statuses) >= count + 2, "diagnostics")
        return self.client.statuses[-1]

    def settled_values(self) -> dict[str, str]:
        """Diagnostics' values once no frame waits any more."""

        def settled() -> bool:
            before = self.client.values
            self.next_status()
            same = all(before.get(name) == self.client.values[name] for name in ("received", "updates"))
            return same and self.client.values["waiting"] == "0"

        self.wait_for(settled, "the pipeline to come to rest")
        return self.client.values

    def close(self) -> None:
        for process in self._processes:
            process.kill()
        self._executor.shutdown()
        self.client.destroy_node()
        rclpy.shutdown(context=self.context)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Tests that start processes get the time that these need on a busy machine."""
    for item in items:
        starts = {"graph", "module_graph"} & set(getattr(item, "fixturenames", ()))
        if starts and not item.get_closest_marker("timeout"):  # not its own, and not of the other conftest
            item.add_marker(pytest.mark.timeout(2 * PATIENCE + 60))


@pytest.fixture
def graph(tmp_path: Path, models: Models) -> Iterator[Graph]:
    with contextlib.closing(Graph(tmp_path, models)) as graph:
        yield graph


@pytest.fixture(scope="module")
def module_graph(tmp_path_factory: pytest.TempPathFactory, models: Models) -> Iterator[Graph]:
    with contextlib.closing(Graph(tmp_path_factory.mktemp("graph"), models)) as graph:
        yield graph
