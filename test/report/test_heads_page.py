"""The page of a verdict: whole, by itself, and safe for whatever a label holds."""

from __future__ import annotations

from pathlib import Path
from xml.etree import ElementTree

import numpy as np

from step_ros.report.heads_page import HeadSection, write_heads_page
from step_ros.scores.verdict import Judged, evaluate


def section() -> HeadSection:
    labels = ("open", "close", "<b>wipe & dry</b>")
    targets = np.arange(24) % 3
    answers = np.where(targets == 2, np.arange(24) % 2 * 2, targets)
    logits = 4.0 * np.eye(3)[answers]
    recordings = [f"take {i % 4}" for i in range(24)]
    judged = Judged(logits, targets, labels, [("open", "close")], recordings, trained={"open": 8, "close": 8})
    return HeadSection("atomic_action", "fitted in closed form", judged, evaluate(judged))


def test_it_says_the_verdict_and_shows_every_class(tmp_path: Path) -> None:
    path = tmp_path / "trust.html"
    write_heads_page(path, "kitchen", [section()], {"clips": "24"})
    page = path.read_text()
    assert "How far to trust the heads of kitchen" in page and "http" not in page.replace("http://www.w3", "")
    assert "too few to judge a class by: open (8), close (8)" in page and "<b>" not in page
    root = ElementTree.fromstring(page.split("<main>")[1].split("</main>")[0].join(["<main>", "</main>"]))
    rows = [[cell.text for cell in row] for row in root.iter("tr")]
    assert rows[1] == ["open", "8", "8", "100.0", "67.6 to 100.0", None]
    assert rows[3][:4] == ["<b>wipe & dry</b>", "-", "8", "50.0"] and rows[3][5] == "open (50.0 %)"
    assert len(list(root.iter("{http://www.w3.org/2000/svg}svg"))) == 2
