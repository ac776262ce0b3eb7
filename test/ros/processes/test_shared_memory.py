"""Shared memory that is too full for Fast DDS: said, and done without."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import pytest

from step_ros.ros.processes.environment import process_environment
from step_ros.ros.processes.shared_memory import PROFILE_VARIABLES, shared_memory_or_udp

PRIVATE = ["unshare", "--mount", "--propagation", "private"]


def small_memory(folder: Path, kibibytes: int, free: int) -> str:
    """A shell's words for a `folder` of so many KiB, of which so many are left."""
    filler = f"head -c {(kibibytes - free) * 1024} /dev/zero > {folder}/filler"
    return f"mount -t tmpfs -o size={kibibytes}k tmpfs {folder} && {filler} && "


@pytest.fixture(scope="module")
def needs_mounts(tmp_path_factory: Any) -> None:
    folder = tmp_path_factory.mktemp("mount")
    tried = subprocess.run([*PRIVATE, "sh", "-c", small_memory(folder, 64, 64) + "true"], capture_output=True)
    if tried.returncode:
        pytest.skip(f"needs the right to mount: {tried.stderr.decode().strip()}")


CHECK = """
import os, sys
from pathlib import Path
from step_ros.ros.processes.shared_memory import shared_memory_or_udp
with shared_memory_or_udp(folder=Path(sys.argv[1])) as words:
    print(words)
    for name in ("FASTDDS_BUILTIN_TRANSPORTS", "FASTRTPS_DEFAULT_PROFILES_FILE"):
        print(os.environ.get(name, ""))
"""


def found(folder: Path, kibibytes: int, environment: dict[str, str]) -> list[str]:
    """What a process finds in a folder of so many KiB: the words, the transports, the profile."""
    command = small_memory(folder, kibibytes, kibibytes) + f'exec {sys.executable} -c "$0" {folder}'
    clean = {name: value for name, value in os.environ.items() if name not in PROFILE_VARIABLES}
    run = subprocess.run(
        [*PRIVATE, "sh", "-c", command, CHECK],
        env={**clean, **environment},
        capture_output=True,
        text=True,
        check=True,
    )
    return run.stdout.split("\n")[:3]


@pytest.mark.parametrize(
    ("kibibytes", "profile", "is_enough"),
    [(1024, "", False), (4096, "", True), (4096, "ours", False), (40_960, "ours", True)],
    ids=["not for the default", "for the default", "not for large images", "for large images"],
)
def test_the_room_is_compared_with_what_the_profile_takes(
    needs_mounts: None, tmp_path: Path, kibibytes: int, profile: str, is_enough: bool
) -> None:
    environment = process_environment({}) if profile else {}
    words, transports, file = found(tmp_path, kibibytes, environment)
    if is_enough:
        assert (words, transports) == ("", "") and file == environment.get(PROFILE_VARIABLES[0], "")
    else:
        assert re.search(rf"{tmp_path} has \d+\.\d MiB free, and Fast DDS takes \d+\.\d MiB", words)
        assert "over UDP instead" in words and "fastdds shm clean" in words
        assert transports == "UDPv4" and file != environment.get(PROFILE_VARIABLES[0])


@pytest.mark.parametrize(
    "environment",
    [
        {"FASTDDS_BUILTIN_TRANSPORTS": "UDPv4"},
        {"RMW_IMPLEMENTATION": "rmw_cyclonedds_cpp"},
    ],
    ids=["UDP was asked for", "another middleware"],
)
def test_what_does_not_use_it_is_left_alone(
    needs_mounts: None, tmp_path: Path, environment: dict[str, str]
) -> None:
    words, transports, _ = found(tmp_path, 64, environment)
    assert words == "" and transports == environment.get("FASTDDS_BUILTIN_TRANSPORTS", "")


def test_where_there_is_none_nobody_uses_it(tmp_path: Path) -> None:
    with shared_memory_or_udp({}, tmp_path / "nowhere") as words:
        assert words == ""


PROFILE = """<?xml version="1.0"?>
<profiles xmlns="http://www.eprosima.com/XMLSchemas/fastRTPS_Profiles">
  <transport_descriptors>
    <transport_descriptor><transport_id>shm</transport_id><type>SHM</type>
      <segment_size>{segment}</segment_size></transport_descriptor>
    <transport_descriptor><transport_id>udp</transport_id><type>UDPv4</type></transport_descriptor>
  </transport_descriptors>
  <participant profile_name="mine" is_default_profile="true"><rtps>
    <userTransports><transport_id>shm</transport_id>{other}</userTransports>
    <useBuiltinTransports>false</useBuiltinTransports>
    <name>kept</name>
  </rtps></participant>
</profiles>
"""


@pytest.mark.parametrize("other", ["<transport_id>udp</transport_id>", ""], ids=["with UDP", "alone"])
def test_the_profile_in_force_loses_shared_memory_and_nothing_else(tmp_path: Path, other: str) -> None:
    profile = tmp_path / "mine.xml"
    profile.write_text(PROFILE.format(segment=2**60, other=other))  # more than any machine has
    environment = {PROFILE_VARIABLES[1]: str(profile)}
    with shared_memory_or_udp(environment, tmp_path) as words:
        assert "over UDP" in words
        (file,) = {environment[name] for name in PROFILE_VARIABLES}
        profiles = ElementTree.parse(file).getroot()
        assert environment["FASTDDS_BUILTIN_TRANSPORTS"] == "UDPv4"
    assert profiles.tag == "profiles" and [each.text for each in profiles.iter("type")] == ["UDPv4"]
    participant = profiles.find("participant")
    assert participant is not None and participant.get("profile_name") == "mine"
    assert participant.findtext("rtps/name") == "kept"
    used = [each.text for each in profiles.iterfind("participant/rtps/userTransports/transport_id")]
    assert used == (["udp"] if other else [])
    assert participant.findtext("rtps/useBuiltinTransports") == ("false" if other else None)
    assert not Path(file).exists()


PARTICIPATE = """
from pathlib import Path
from step_ros.ros.processes.shared_memory import shared_memory_or_udp
with shared_memory_or_udp() as words:
    import rclpy
    rclpy.init()
    node = rclpy.create_node("alone")
    print("/dev/shm/fastrtps" in Path("/proc/self/maps").read_text())
"""


@pytest.mark.parametrize(("kibibytes", "used"), [(1024, "False"), (40_960, "True")])
@pytest.mark.parametrize("profile", ["", "ours"])
def test_without_room_dds_uses_none_and_with_room_it_does(
    needs_mounts: None, profile: str, kibibytes: int, used: str
) -> None:
    command = small_memory(Path("/dev/shm"), kibibytes, kibibytes) + f'exec {sys.executable} -c "$0"'
    # Within one machine rmw_fastrtps brings a transport of its own, which no variable takes away.
    environment = {**os.environ, "ROS_AUTOMATIC_DISCOVERY_RANGE": "SUBNET"}
    environment |= process_environment({}) if profile else {}
    run = subprocess.run(
        [*PRIVATE, "sh", "-c", command, PARTICIPATE], env=environment, capture_output=True, text=True
    )
    assert run.stdout.strip() == used, run.stderr


def start(graph: Any, kibibytes: int, free: int, *, log: Path) -> subprocess.Popen[bytes]:
    """A perception node of the bundled models in a machine with little shared memory."""
    command = small_memory(Path("/dev/shm"), kibibytes, free) + 'exec "$@"'
    heads = ",".join(map(str, graph._models.heads))
    parameters = [f"models:=[{heads}]", "engine:=eager", "device:=cpu", "diagnostics.period:=0.1"]
    parameters += ["staleness.max_age:=30.0", "staleness.timeout:=30.0"]
    given = [part for parameter in parameters for part in ("-p", parameter)]
    node = [sys.executable, "-m", "step_ros.ros.node.process", "--ros-args", "-r", f"__ns:={graph.namespace}"]
    with log.open("wb") as output:
        return subprocess.Popen(
            [*PRIVATE, "sh", "-c", command, "sh", *node, *given],
            env={**os.environ, **process_environment(os.environ), "OMP_NUM_THREADS": "1"},
            stdout=output,
            stderr=subprocess.STDOUT,
        )


def test_a_node_without_room_hears_and_speaks_over_udp_and_says_so(
    needs_mounts: None, graph: Any, tmp_path: Path
) -> None:
    from vision_msgs.msg import Classification

    labels = graph.client.listen(Classification, "perception/object")
    graph.film()
    log = tmp_path / "node.log"
    node = start(graph, 1024, 600, log=log)
    try:
        graph.wait_for(lambda: labels or node.poll() is not None, "labels")
        assert node.poll() is None, log.read_text()
        graph.next_status()
        assert "over UDP instead" in graph.client.values["shared_memory"]
        assert "over UDP instead" in log.read_text() and "SHM" not in log.read_text()
        node.send_signal(signal.SIGTERM)
        assert node.wait(60) == 0
    finally:
        node.kill()
        node.wait()


def test_a_node_that_cannot_start_without_any_says_what_to_do(
    needs_mounts: None, graph: Any, tmp_path: Path
) -> None:
    command = small_memory(Path("/dev/shm"), 64, 0) + f"exec {sys.executable} -c 'import rclpy; rclpy.init()'"
    alone = subprocess.run([*PRIVATE, "sh", "-c", command], capture_output=True)
    if alone.returncode != -signal.SIGBUS:
        pytest.skip("no library of this ROS needs shared memory by itself")
    log = tmp_path / "node.log"
    assert start(graph, 64, 0, log=log).wait(60) == 1
    said = log.read_text()
    assert "perception: cannot start: /dev/shm has 0.0 MiB free" in said
    assert "no ROS process can start" in said and "--shm-size" in said
