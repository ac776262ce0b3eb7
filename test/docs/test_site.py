"""The documentation builds with nothing to complain about, and has the pages that the code writes."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    pytest.importorskip("material", reason="the documentation needs the extra `docs`")
    pytest.importorskip("rclpy", reason="the page on topics and parameters is written by the node's code")
    out = tmp_path_factory.mktemp("site")
    built = subprocess.run(
        [sys.executable, "-m", "mkdocs", "build", "--strict", "--site-dir", str(out)],
        cwd=ROOT,
        env={**os.environ, "NO_MKDOCS_2_WARNING": "1"},
        capture_output=True,
        text=True,
    )
    assert built.returncode == 0, built.stderr
    assert "WARNING" not in built.stderr
    return out


def test_every_page_is_in_the_navigation(site: Path) -> None:
    front = (site / "index.html").read_text()
    for page in (ROOT / "docs").glob("*.md"):
        if page.stem != "index":
            assert f'href="{page.stem}/"' in front, page.name


def test_the_code_writes_topics_and_parameters(site: Path) -> None:
    from step_ros.runs.parameters import PARAMETERS

    page = (site / "interface" / "index.html").read_text()
    for spec in PARAMETERS:
        assert spec.name in page
    assert "/stable" in page


def test_the_example_is_the_file_that_is_tested(site: Path) -> None:
    assert "HandoverPlanner" in (site / "planner" / "index.html").read_text()
