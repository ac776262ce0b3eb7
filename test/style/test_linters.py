"""The linters are tests, so that `make test`, `colcon test` and CI judge the code alike."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
CODE = [str(ROOT / name) for name in ("setup.py", "scripts", "step_ros", "launch") if (ROOT / name).exists()]


@pytest.mark.parametrize("command", ["ruff check", "ruff format --check", "mypy"])
@pytest.mark.timeout(600)
def test_linter_has_nothing_to_say(command: str) -> None:
    tool, *arguments = command.split()
    pytest.importorskip(tool)
    call = [sys.executable, "-m", tool, *arguments]
    result = subprocess.run(call, cwd=ROOT, capture_output=True, text=True)
    assert result.returncode == 0, f"{command}:\n{result.stdout}{result.stderr}"


@pytest.mark.linter
def test_ament_flake8() -> None:
    flake8 = pytest.importorskip("ament_flake8.main")
    _, errors = flake8.main_with_errors(argv=["--config", str(ROOT / ".flake8"), *CODE])
    assert not errors, "\n".join(errors)


@pytest.mark.linter
def test_ament_pep257(caplog: pytest.LogCaptureFixture) -> None:
    pep257 = pytest.importorskip("ament_pep257.main")
    caplog.set_level("WARNING", logger="pydocstyle.utils")  # it would log each file it reads
    # D402 takes a first line such as "Logits (B, K)" for a signature.
    ignored = ["D105", "D107", "D402"]
    assert pep257.main(argv=["--convention", "google", "--add-ignore", *ignored, "--", *CODE]) == 0
