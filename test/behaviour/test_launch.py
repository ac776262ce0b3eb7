"""The launch files, run for real where ROS's launch is at hand."""

from __future__ import annotations

import importlib.util
import os
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from vision_msgs.msg import LabelInfo

from step_ros.shared_files import shared_folder

pytest.importorskip(
    "launch_ros", reason="launch_ros is not in the package registries: needs a ROS installation"
)

PERCEPTION_ARGUMENTS = {
    "image",
    "image_transport",
    "models",
    "cameras",
    "autostart",
    "params_file",
    "namespace",
    "use_sim_time",
    "log_level",
}


def launch_file(name: str) -> Path:
    return shared_folder() / "launch" / name


def load(name: str) -> Any:
    spec = importlib.util.spec_from_file_location(name.partition(".")[0], launch_file(name))
    assert spec and spec.loader
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("perception.launch.py", PERCEPTION_ARGUMENTS),
        ("demo.launch.py", {"bag", "models", "output_folder"}),
    ],
)
def test_every_argument_is_described(name: str, expected: set[str]) -> None:
    arguments = load(name).generate_launch_description().get_launch_arguments()
    assert {argument.name for argument in arguments} == expected
    for argument in arguments:
        assert len(argument.description) > 40, argument.name
        assert argument.default_value is not None, argument.name


def installed() -> bool:
    from ament_index_python.packages import PackageNotFoundError, get_package_prefix

    try:
        prefix = get_package_prefix("step_ros")
    except PackageNotFoundError:
        return False
    return Path(prefix, "lib", "step_ros", "perception").exists()


@pytest.mark.skipif(
    not installed(), reason="step_ros is not in a sourced workspace: colcon build, source, again"
)
def test_launch_brings_the_node_up_and_down(graph: Any, models: Any, tmp_path: Path) -> None:
    script = (
        "import sys; from launch import LaunchDescription, LaunchService; "
        "from launch.actions import IncludeLaunchDescription as Include; "
        "service = LaunchService(); file, *pairs = sys.argv[1:]; "
        "arguments = [tuple(pair.split(':=')) for pair in pairs]; "
        "service.include_launch_description(LaunchDescription([Include(file, launch_arguments=arguments)])); "
        "sys.exit(service.run())"
    )
    arguments = [
        f"namespace:={graph.namespace}",
        f"models:={','.join(map(str, models.heads))}",
        "image_transport:=compressed",
    ]
    log = tmp_path / "launch.log"
    with log.open("w") as output:
        launched = subprocess.Popen(
            [sys.executable, "-c", script, str(launch_file("perception.launch.py")), *arguments],
            stdout=output,
            stderr=subprocess.STDOUT,
            env=os.environ,
        )
    try:
        labels = graph.client.listen(LabelInfo, "perception/object/labels", latched=True)
        graph.wait_for(lambda: labels or launched.poll() is not None, "the launched node's labels")
        assert launched.poll() is None, log.read_text()
        graph.next_status()
        assert graph.client.values["image_topic"] == "/camera/image_raw/compressed"
        launched.send_signal(signal.SIGINT)
        assert launched.wait(40) == 0, log.read_text()
    finally:
        launched.kill()
    assert "process has finished cleanly" in log.read_text()
