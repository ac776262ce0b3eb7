"""The launch files, run by ROS's own launch where it is at hand.

It is not in the package registries: test/ros/test_launch_arguments.py runs what they come to without it.
"""

from __future__ import annotations

import importlib.util
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from vision_msgs.msg import LabelInfo

from step_ros.ros.launch_arguments import ARGUMENTS
from step_ros.shared_files import shared_folder

from ..workspace import UNDERLAY, build_workspace, sourced

pytest.importorskip(
    "launch_ros", reason="launch_ros is not in the package registries: needs a ROS installation"
)

FILES = {
    "perception.launch.py": {argument.name for argument in ARGUMENTS},
    "two_robots.launch.py": {"robots", "image", "models"},
    "demo.launch.py": {"bag", "models", "output_folder"},
}

LAUNCH = """
import sys
from launch import LaunchDescription, LaunchService
from launch.actions import IncludeLaunchDescription
from launch.launch_description_sources import PythonLaunchDescriptionSource

file, *words = sys.argv[1:]
arguments = [tuple(word.split(":=")) for word in words]
service = LaunchService()
source = PythonLaunchDescriptionSource(file)
include = IncludeLaunchDescription(source, launch_arguments=arguments)
service.include_launch_description(LaunchDescription([include]))
sys.exit(service.run())
"""


def load(name: str) -> Any:
    spec = importlib.util.spec_from_file_location(name.partition(".")[0], shared_folder() / "launch" / name)
    assert spec and spec.loader
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.mark.parametrize("name", FILES)
def test_every_argument_is_described(name: str) -> None:
    arguments = load(name).generate_launch_description().get_launch_arguments()
    assert {argument.name for argument in arguments} == FILES[name]
    for argument in arguments:
        assert len(argument.description) > 40, argument.name
        assert argument.default_value is not None, argument.name


class Launched:
    """What `ros2 launch` does with a file of the package, in a sourced workspace."""

    def __init__(self, install_space: Path, log: Path, file: str, *words: str) -> None:
        self._log = log
        path = install_space / "step_ros" / "share" / "step_ros" / "launch" / file
        with log.open("w") as output:
            self.popen = subprocess.Popen(
                sourced(install_space, [sys.executable, "-c", LAUNCH, path, *words]),
                stdout=output,
                stderr=subprocess.STDOUT,
                env=os.environ | UNDERLAY,
            )

    @property
    def output(self) -> str:
        return self._log.read_text()

    def end(self) -> None:
        """Ctrl-C, and all that was started has ended in order."""
        self.popen.send_signal(signal.SIGINT)
        assert self.popen.wait(40) == 0, self.output
        assert "process has finished cleanly" in self.output and "process has died" not in self.output


@pytest.fixture(scope="module")
def install_space(tmp_path_factory: pytest.TempPathFactory) -> Path:
    pytest.importorskip("colcon_core")
    return build_workspace(tmp_path_factory.mktemp("workspace"))


@pytest.fixture
def launch(install_space: Path, tmp_path: Path, models: Any) -> Iterator[Any]:
    started: list[Launched] = []

    def start(file: str, *words: str) -> Launched:
        heads = f"models:={','.join(map(str, models.heads))}"
        started.append(Launched(install_space, tmp_path / "launch.log", file, heads, *words))
        return started[-1]

    yield start
    for each in started:
        each.popen.kill()


def labels_of(graph: Any, launched: Launched, node: str) -> list[Any]:
    """The list of a node's labels, once they have come."""
    labels: list[Any] = graph.client.listen(LabelInfo, f"{node}/object/labels", latched=True)
    graph.wait_for(lambda: labels or launched.popen.poll() is not None, f"labels of {node}")
    assert launched.popen.poll() is None, launched.output
    return labels


def wait_for_subscriber(graph: Any, topic: str) -> None:
    graph.wait_for(lambda: graph.client.count_subscribers(topic) == 1, f"the subscription of {topic}")


def test_it_brings_the_node_up_and_down(graph: Any, launch: Any) -> None:
    launched = launch(
        "perception.launch.py", f"namespace:={graph.namespace}", "name:=eyes", "image_transport:=compressed"
    )
    labels_of(graph, launched, "eyes")
    graph.next_status()
    assert graph.client.values["image_topic"] == "/camera/image_raw/compressed"
    launched.end()


def test_several_cameras_have_topics_and_transports_of_their_own(graph: Any, launch: Any) -> None:
    launched = launch(
        "perception.launch.py",
        f"namespace:={graph.namespace}",
        "cameras:=[front, wrist]",
        f"front.image:={graph.namespace}/arm/camera",
        "front.image_transport:=compressed",
    )
    for camera in ("front", "wrist"):
        labels_of(graph, launched, f"perception/{camera}")
    for topic in ("arm/camera/compressed", "wrist/image"):
        wait_for_subscriber(graph, topic)
    launched.end()


def test_a_node_that_has_died_is_started_again(graph: Any, launch: Any) -> None:
    launched = launch("perception.launch.py", f"namespace:={graph.namespace}", "respawn:=true")
    labels = labels_of(graph, launched, "perception")
    threads = Path(f"/proc/{launched.popen.pid}/task").glob("*/children")
    (node,) = [int(child) for thread in threads for child in thread.read_text().split()]
    os.kill(node, signal.SIGKILL)
    graph.wait_for(lambda: len(labels) > 1, "the labels of the new node")
    launched.popen.send_signal(signal.SIGINT)
    assert launched.popen.wait(40) == 0, launched.output


def test_two_robots_have_a_node_each(graph: Any, launch: Any) -> None:
    own = graph.namespace.strip("/")
    launched = launch("two_robots.launch.py", f"robots:=[{own}/left, {own}/right]")
    for robot in ("left", "right"):
        labels_of(graph, launched, f"{robot}/perception")
        wait_for_subscriber(graph, f"{robot}/camera/image_raw")
    launched.end()
