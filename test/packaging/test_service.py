"""The unit for systemd: sound as systemd sees it, and what it starts is the node, which ends as it says."""

from __future__ import annotations

import configparser
import os
import re
import shlex
import shutil
import signal
import subprocess
import sysconfig
import time
import venv
from pathlib import Path

import pytest

from ..workspace import ROOT, UNDERLAY, build_workspace

UNIT = ROOT / "config" / "systemd" / "perception.service"

pytestmark = pytest.mark.timeout(600)


@pytest.fixture(scope="module")
def unit(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The unit for a workspace that there is here, in place of /ros2_ws, with ROS in place of /opt/ros."""
    pytest.importorskip("colcon_core")
    workspace = tmp_path_factory.mktemp("robot")
    build_workspace(workspace)
    venv.create(workspace / ".venv", with_pip=False)
    (packages,) = (workspace / ".venv").glob("lib/python*/site-packages")
    (packages / "installed_here.pth").write_text(sysconfig.get_path("purelib") + "\n")
    ros = workspace / "opt" / "jazzy" / "setup.bash"
    ros.parent.mkdir(parents=True)
    ros.write_text("".join(f"export {name}={shlex.quote(value)}\n" for name, value in UNDERLAY.items()))
    entry = Path("src", "step_ros", "docker", "entrypoint.sh")
    (workspace / entry).parent.mkdir(parents=True)
    text = (ROOT / "docker" / entry.name).read_text()
    (workspace / entry).write_text(here(text, workspace))
    shutil.copymode(ROOT / "docker" / entry.name, workspace / entry)
    path = workspace / UNIT.name
    path.write_text(here(UNIT.read_text(), workspace))
    return path


def here(text: str, workspace: Path) -> str:
    return text.replace("/opt/ros", f"{workspace}/opt").replace("/ros2_ws", str(workspace))


def service(unit: Path) -> configparser.SectionProxy:
    parser = configparser.ConfigParser(interpolation=None)
    parser.optionxform = str  # type: ignore[assignment]
    parser.read_string(unit.read_text())
    return parser["Service"]


def test_systemd_has_nothing_to_say(unit: Path) -> None:
    if shutil.which("systemd-analyze") is None:
        pytest.skip("there is no systemd here")
    done = subprocess.run(["systemd-analyze", "verify", str(unit)], capture_output=True, text=True)
    assert (done.returncode, done.stdout + done.stderr) == (0, "")


def test_its_process_becomes_the_node_and_ends_in_order_when_it_is_told_to(
    unit: Path, tmp_path: Path
) -> None:
    pytest.importorskip("rclpy")
    settings = service(unit)
    variables = dict(pair.split("=") for pair in shlex.split(settings["Environment"]))
    del variables["ROS_DOMAIN_ID"]  # that of this test
    log = tmp_path / "node.log"
    with log.open("w") as output:
        process = subprocess.Popen(
            shlex.split(settings["ExecStart"]),
            cwd="/",
            env={"PATH": os.environ["PATH"], **ros_variables(), **variables},
            stdout=output,
            stderr=subprocess.STDOUT,
        )
    try:
        give_up = time.monotonic() + 300
        while "] [perception]: ready" not in log.read_text():
            assert process.poll() is None and time.monotonic() < give_up, log.read_text()
            time.sleep(0.1)
        line = Path(f"/proc/{process.pid}/cmdline").read_text().split("\0")
        assert "step_ros.ros.node.process" in line and "image:=/camera/image_raw" in line
        process.send_signal(getattr(signal, settings["KillSignal"]))
        assert process.wait(float(settings["TimeoutStopSec"])) == 0, log.read_text()
    finally:
        process.kill()
        process.wait()


def ros_variables() -> dict[str, str]:
    """This test's domain and log folder."""
    return {name: value for name, value in os.environ.items() if re.match(r"ROS_|HOME$", name)}


def test_what_dies_is_started_again_and_nothing_is_promised_that_the_node_does_not_do() -> None:
    settings = service(UNIT)
    assert settings["Restart"] == "on-failure"
    assert "WatchdogSec" not in settings, "the node would have to send sd_notify's WATCHDOG=1"
