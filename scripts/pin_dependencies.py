#!/usr/bin/env python3
"""Write constraints/python<this minor>.txt: the version of everything that `make setup` installs.

Run it with each Python that the project supports, from a virtual environment or not; it installs nothing:
    python3.12 scripts/pin_dependencies.py
"""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]

# The last one whose wheels every supported Python finds.
TORCH = "2.13.0"

# torch's own requirements pin these, and which of them it has depends on the machine.
LEFT_TO_TORCH = ("cuda-", "nvidia-", "triton")


def resolved() -> dict[str, str]:
    """Name to version of what pip would install into an empty environment."""
    pip = [sys.executable, "-m", "pip", "install", "--quiet", "--dry-run", "--ignore-installed", "--report=-"]
    wanted = [
        f"torch=={TORCH}",
        f"{ROOT}[tabletop,training,test,video]",
        f"--requirement={ROOT}/requirements/ros_wheels.txt",
    ]
    report = json.loads(subprocess.run([*pip, *wanted], check=True, stdout=subprocess.PIPE, text=True).stdout)
    return {item["metadata"]["name"]: item["metadata"]["version"] for item in report["install"]}


def main() -> None:
    """Resolve and write."""
    pins = {name: version for name, version in resolved().items() if not name.startswith(LEFT_TO_TORCH)}
    pins["torch"] = TORCH  # without the local version (+cpu, +cu130) that one index adds and another has not
    del pins["step_ros"]
    minor = f"{sys.version_info.major}.{sys.version_info.minor}"
    lines = [f"# Python {minor}. Written by scripts/pin_dependencies.py."]
    lines += [f"{name}=={pins[name]}" for name in sorted(pins, key=str.lower)]
    (ROOT / "constraints" / f"python{minor}.txt").write_text("\n".join(lines) + "\n")


if __name__ == "__main__":
    main()
