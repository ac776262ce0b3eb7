"""The short form of `make soak`: two cameras, flat memory and handles, and no frame lost sight of."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

SOAK = Path(__file__).resolve().parents[2] / "benchmarks" / "soak.py"


@pytest.mark.timeout(400)
def test_nothing_grows_and_nothing_is_lost(recording: Any, models: Any) -> None:
    # So short a time says little about memory: what is still warming up is no leak.
    arguments = ["--minutes", "0.3", "--warm-up", "4", "--every", "1", "--growth", "0.05"]
    arguments += ["--bag", recording.path, "--models", *models.heads]
    soaked = subprocess.run(
        [sys.executable, SOAK, *map(str, arguments)],
        env={**os.environ, "OMP_NUM_THREADS": "1"},
        capture_output=True,
        text=True,
        timeout=380,
    )
    print(soaked.stdout)
    assert soaked.returncode == 0, soaked.stdout + soaked.stderr
    assert "frames unaccounted for: 0" in soaked.stdout
