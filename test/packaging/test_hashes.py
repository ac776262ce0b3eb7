"""What is pinned is hashed, in the same versions, for set-ups that check every file."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

CONSTRAINTS = Path(__file__).resolve().parents[2] / "constraints"

PYTHONS = sorted(path.name for path in CONSTRAINTS.glob("python*.txt"))


def normalised(name: str) -> str:
    return re.sub(r"[-_.]+", "-", name).lower()


def pins(text: str) -> dict[str, str]:
    found = re.findall(r"^([A-Za-z0-9._-]+)==([^\s;\\]+)", text, re.MULTILINE)
    return {normalised(name): version for name, version in found}


@pytest.mark.parametrize("python", PYTHONS)
def test_every_pin_but_torch_has_hashes(python: str) -> None:
    hashed = (CONSTRAINTS / "hashes" / python).read_text()
    expected = pins((CONSTRAINTS / python).read_text())
    expected.pop("torch")
    assert pins(hashed) == expected, "run scripts/pin_dependencies.py"
    for entry in re.split(r"\n(?=\S)", hashed.partition("\n")[2]):
        assert re.search(r"--hash=sha256:[0-9a-f]{64}", entry), entry
