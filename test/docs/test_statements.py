"""What nobody who builds on the node may overlook is said where they look."""

from __future__ import annotations

from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]


@pytest.mark.parametrize(
    ("statement", "pages"),
    [
        ("not a safety function", ["README.md", "docs/planner.md", "SECURITY.md"]),
        ("one minus the best", ["README.md", "docs/planner.md", "docs/robot.md"]),
        ("nothing that protects people may rest on", ["README.md", "docs/planner.md", "SECURITY.md"]),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_it_is_said_on_each_page(statement: str, pages: list[str]) -> None:
    for page in pages:
        words = " ".join((ROOT / page).read_text().replace("*", "").split()).lower()
        assert statement in words, page
