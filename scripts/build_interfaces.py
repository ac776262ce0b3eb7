#!/usr/bin/env python3
"""Generate vision_msgs and bond into this Python environment, where no ROS installation brings them.

rclpy and the common interfaces exist as wheels; these two do not. The generators that make them (rosidl) do,
and interfaces/ holds the definitions. The result is the real thing, and is checked to be: a publisher in a
fresh process must announce the type hash that ROS's own message announces.
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
import sysconfig
import tempfile
from pathlib import Path
from typing import NamedTuple

INTERFACES = Path(__file__).resolve().parents[1] / "interfaces"
PREFIX = Path(sys.prefix)


class Interface(NamedTuple):
    """A message, and what shows that it is ROS's."""

    message: str
    """Its name in the package."""
    type_hash: str
    """Its type hash as ROS distributes it. Endpoints with another one do not connect to it."""


PACKAGES = {
    "vision_msgs": Interface(
        "Classification", "RIHS01_f74db28d0eaef3afb78f48bf2161cd709a1383a0309d3454383b25be11345143"
    ),
    "bond": Interface("Status", "RIHS01_87eaccffa254ffffadc0b61600452e8251740f06c25659a2dbda4927fdb1f70a"),
}

ANNOUNCE_TYPE_HASH = """
import importlib, sys
import rclpy

package, name = sys.argv[1:]
rclpy.init()
node = rclpy.create_node("interface_check")
node.create_publisher(getattr(importlib.import_module(f"{package}.msg"), name), "checked", 1)
print(node.get_publishers_info_by_topic("/checked")[0].topic_type_hash)
"""


class BuildError(Exception):
    """The machine lacks something that the build needs; the message says what to install."""


def announced_type_hash(package: str) -> str:
    """The type hash of a package's message that a publisher here announces; "" where there can be none."""
    with tempfile.TemporaryDirectory() as log_folder:
        environment = os.environ | {"ROS_LOG_DIR": log_folder, "ROS_AUTOMATIC_DISCOVERY_RANGE": "LOCALHOST"}
        command = [sys.executable, "-c", ANNOUNCE_TYPE_HASH, package, PACKAGES[package].message]
        check = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=60)
    return check.stdout.strip() if check.returncode == 0 else ""


def check_tools(package: str) -> None:
    """Raise BuildError unless a C and a C++ compiler, cmake and Python's headers are here."""
    headers = Path(sysconfig.get_path("include"), "Python.h")
    needs = {
        "a C compiler (gcc)": shutil.which(os.environ.get("CC", "cc")),
        "a C++ compiler (g++)": shutil.which(os.environ.get("CXX", "c++")),
        "cmake": shutil.which("cmake"),
        f"Python's headers ({headers})": headers.is_file(),
    }
    missing = [need for need, found in needs.items() if not found]
    if missing:
        raise BuildError(
            f"{package} cannot be built: {', '.join(missing)} not found. On Debian and Ubuntu: "
            f"sudo apt install build-essential cmake python3-dev. Or source a ROS 2 that has {package}."
        )


def mend_exported_paths() -> None:
    """Point the wheels' CMake files at this interpreter's headers.

    Some still name those of the container that the wheels were built in, /opt/python/cp311-cp311/...
    """
    import numpy

    for path in PREFIX.glob("share/*/cmake/*.cmake"):
        text = path.read_text()
        mended = re.sub(r'/opt/python/[^;"]*/numpy/_core/include', numpy.get_include(), text)
        mended = re.sub(r'/opt/python/[^;"/]*/include/python[\d.]+', sysconfig.get_path("include"), mended)
        if mended != text:
            path.write_text(mended)


def build(package: str, folder: Path) -> None:
    """Generate, compile and install a package into this environment; `folder` is for scratch files."""
    configure = [
        "-DBUILD_TESTING=OFF",
        "-DCMAKE_BUILD_TYPE=Release",
        f"-DCMAKE_INSTALL_PREFIX={PREFIX}",
        f"-DCMAKE_PREFIX_PATH={PREFIX}",
        f"-DPython3_EXECUTABLE={sys.executable}",
    ]
    log = folder / "build.log"
    environment = os.environ | {"AMENT_PREFIX_PATH": str(PREFIX)}
    with log.open("w") as output:
        for step in (
            ["cmake", "-S", str(INTERFACES / package), "-B", str(folder / "build"), *configure],
            ["cmake", "--build", str(folder / "build"), "--parallel", str(os.cpu_count() or 1)],
            ["cmake", "--install", str(folder / "build")],
        ):
            if subprocess.run(step, env=environment, stdout=output, stderr=subprocess.STDOUT).returncode != 0:
                raise BuildError(f"{' '.join(step)} failed:\n{log.read_text()[-4000:]}")


def main() -> None:
    """Build what this environment lacks of `PACKAGES`, and check what was built."""
    for package, interface in PACKAGES.items():
        if announced_type_hash(package) == interface.type_hash:
            continue
        check_tools(package)
        mend_exported_paths()
        with tempfile.TemporaryDirectory(prefix=f"{package}_") as folder:
            build(package, Path(folder))
        found = announced_type_hash(package)
        if found != interface.type_hash:
            raise BuildError(
                f"the {package} just built announces type {found or 'nothing'}, not {interface.type_hash}"
            )


if __name__ == "__main__":
    try:
        main()
    except BuildError as error:
        sys.exit(f"{Path(__file__).name}: {error}")
