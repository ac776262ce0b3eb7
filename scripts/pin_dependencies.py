#!/usr/bin/env python3
"""Write constraints/: what `make setup` installs, to the last version, for each Python.

Run it wherever uv is installed (pip install uv), with any Python; it installs nothing:
    scripts/pin_dependencies.py

constraints/python3.12.txt has names and versions. constraints/hashes/python3.12.txt has the same with the
SHA-256 of every file that pip may take, without torch: its builds, for the CPU and for each CUDA, come from
several indexes under one version, and have hashes of their own. It is installed first, from the index of
your choice; the rest is checked:
    pip install torch==2.13.0
    pip install --no-deps --require-hashes --requirement constraints/hashes/python3.12.txt
    pip install --no-deps --no-build-isolation --editable .
"""

from __future__ import annotations

import subprocess
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]

PYTHONS = ("3.10", "3.11", "3.12", "3.13")

# The last one whose wheels every supported Python finds.
TORCH = "torch==2.13.0"

# torch's own requirements pin these, and which of them it has depends on the machine.
LEFT_TO_TORCH = ("cuda-", "nvidia-", "triton")

HEADER = "# Python {python}{what}. Written by scripts/pin_dependencies.py.\n"


def compiled(lines: list[str], python: str, *options: str) -> list[str]:
    """What uv resolves the requirements in the lines to, a line each (or several, with hashes)."""
    uv = ["uv", "pip", "compile", "--quiet", "--no-header", "--no-annotate"]
    command = [*uv, f"--python-version={python}", *options, "-"]
    found = subprocess.run(
        command, cwd=ROOT, input="\n".join(lines), check=True, stdout=subprocess.PIPE, text=True
    )
    return found.stdout.splitlines()


def main() -> None:
    """Resolve and write, for each Python."""
    wanted = [".[development]", "-r requirements/ros_wheels.txt", TORCH]
    for python in PYTHONS:
        found = compiled(wanted, python, "--no-emit-package=step-ros", "--no-emit-package=torch")
        pins = [line for line in found if not line.startswith(LEFT_TO_TORCH)]
        hashed = compiled(pins, python, "--no-deps", "--generate-hashes")
        for folder, what, lines in (
            ("constraints", "", sorted([*pins, TORCH])),
            ("constraints/hashes", ", without torch, every file with its hash", hashed),
        ):
            text = HEADER.format(python=python, what=what) + "\n".join(lines) + "\n"
            (ROOT / folder / f"python{python}.txt").write_text(text)


if __name__ == "__main__":
    main()
