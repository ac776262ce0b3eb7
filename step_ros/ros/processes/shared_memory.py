"""Is there room for Fast DDS in the machine's shared memory, and if not, how does a process do without?"""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import tempfile
from collections.abc import Iterator, MutableMapping
from contextlib import contextmanager
from pathlib import Path
from xml.etree import ElementTree

FOLDER = Path("/dev/shm")
"""Where Linux keeps it."""

PROFILE_VARIABLES = ("FASTRTPS_DEFAULT_PROFILES_FILE", "FASTDDS_DEFAULT_PROFILES_FILE")
"""Jazzy and before read the first, Kilted and later the second."""

DEFAULT_SEGMENT = 512 * 1024
"""Bytes of a process's segment where no profile says otherwise."""

OVERHEAD = 1.1
"""A segment takes more than its size, for its own books."""

BESIDES = 1024 * 1024
"""Bytes for a second segment of the default size, for ports and locks."""

HARDLY_ANY = 64 * 1024
"""Bytes below which perhaps no ROS process starts: its libraries take a page or two besides DDS."""

_WITHOUT = ("UDPv4", "UDPv6", "DEFAULTv6", "NONE")
"""FASTDDS_BUILTIN_TRANSPORTS that use no shared memory."""


class SharedMemoryError(RuntimeError):
    """No ROS process can start here; the message says what to do."""


@contextmanager
def shared_memory_or_udp(
    environment: MutableMapping[str, str] = os.environ, folder: Path = FOLDER
) -> Iterator[str]:
    """Have Fast DDS do without shared memory where it has no room; to be entered before rclpy is imported.

    A process that writes to shared memory which the machine does not have is killed by SIGBUS, or goes on
    with half of its transports. Here it goes on over UDP: variables name a copy of the profile in force,
    without what uses shared memory. (With ROS_AUTOMATIC_DISCOVERY_RANGE=LOCALHOST, rmw_fastrtps adds half a
    megabyte that no variable takes away, and Fast DDS itself goes on over UDP where that has no room.)

    Args:
        environment: the process's own, which is changed.
        folder: where shared memory is.

    Yields:
        What was found and done, for people; empty if there is room, or Fast DDS does not use it.

    Raises:
        SharedMemoryError: there is so little that no ROS process can start.
    """
    profile = _profile(environment)
    needed = _needed(environment, profile)
    free = _free(folder)
    if free >= needed:
        yield ""
        return
    found = f"{folder} has {free / 2**20:.1f} MiB free, and Fast DDS takes {needed / 2**20:.1f} MiB"
    cure = (
        "remove what killed processes have left there (fastdds shm clean), or make it larger (docker run "
        "--shm-size=256m)"
    )
    with tempfile.NamedTemporaryFile(prefix="fastdds_udp_", suffix=".xml") as file:
        environment["FASTDDS_BUILTIN_TRANSPORTS"] = "UDPv4"
        if profile is not None:
            file.write(_without_shared_memory(profile))
            file.flush()
            environment.update(dict.fromkeys(PROFILE_VARIABLES, file.name))
        if free < HARDLY_ANY and not _can_start(environment):
            raise SharedMemoryError(f"{found}; without any, no ROS process can start: {cure}")
        yield f"{found}: images come over UDP instead, which loses large ones; {cure}"


def _free(folder: Path) -> int:
    """Bytes; no end of them where there is no such folder, since then nobody uses it."""
    if not folder.is_dir():
        return sys.maxsize
    status = os.statvfs(folder)
    return status.f_bavail * status.f_frsize


def _needed(environment: MutableMapping[str, str], profile: ElementTree.Element | None) -> int:
    """Bytes of shared memory that a process takes, 0 if it uses none."""
    if "fastrtps" not in environment.get("RMW_IMPLEMENTATION", "rmw_fastrtps_cpp"):
        return 0
    segments = []
    builtin = environment.get("FASTDDS_BUILTIN_TRANSPORTS", "").partition("?")[0] not in _WITHOUT
    if profile is not None:
        for descriptor in _shared_memory_transports(profile):
            segments.append(int(descriptor.findtext("segment_size") or DEFAULT_SEGMENT))
        builtin = builtin and "false" not in {each.text for each in profile.iter("useBuiltinTransports")}
    if builtin:
        segments.append(DEFAULT_SEGMENT)
    return int(OVERHEAD * sum(segments)) + BESIDES if segments else 0


def _profile(environment: MutableMapping[str, str]) -> ElementTree.Element | None:
    """The profiles in force; None if there are none, or none that Fast DDS could read."""
    given = next((environment[name] for name in PROFILE_VARIABLES if environment.get(name)), None)
    if given is None:
        return None
    try:
        profiles = ElementTree.parse(given).getroot()
    except (OSError, ElementTree.ParseError):
        return None
    for element in profiles.iter():  # Fast DDS knows of no namespaces either
        element.tag = element.tag.rpartition("}")[2]
    return profiles


def _shared_memory_transports(profiles: ElementTree.Element) -> list[ElementTree.Element]:
    return [each for each in profiles.iter("transport_descriptor") if each.findtext("type") == "SHM"]


def _without_shared_memory(profiles: ElementTree.Element) -> bytes:
    """The profiles as a file; a participant with no transport left gets those that are built in."""
    gone = _shared_memory_transports(profiles)
    names = {descriptor.findtext("transport_id") for descriptor in gone}
    for descriptors in profiles.iter("transport_descriptors"):
        for descriptor in set(gone) & set(descriptors):
            descriptors.remove(descriptor)
    for participant in profiles.iter("rtps"):
        chosen = participant.find("userTransports")
        if chosen is None:
            continue
        for transport in [each for each in chosen if each.text in names]:
            chosen.remove(transport)
        if not len(chosen):
            participant.remove(chosen)
            for switch in participant.findall("useBuiltinTransports"):
                participant.remove(switch)
    return ElementTree.tostring(profiles)


def _can_start(environment: MutableMapping[str, str]) -> bool:
    """Whether a process with nothing but rclpy in it survives."""
    tried = subprocess.run(
        [sys.executable, "-c", "import rclpy; rclpy.init()"], env=dict(environment), capture_output=True
    )
    return tried.returncode != -signal.SIGBUS
