"""`step-ros learn`: labelled clips in; heads, a verdict and a page out."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from step_ros.probes import Head


def test_from_clips_to_heads_and_a_page(
    data: Path, run: Callable[..., None], capsys: pytest.CaptureFixture[str]
) -> None:
    out = data / "learned"
    run("learn", "--data", data / "clips.csv", "--backbone", data / "backbone", "--out", out,
        "--tasks", "verb", "--frames", 8, "--engine", "eager")  # fmt: skip
    shown = capsys.readouterr().out
    assert "verb, to be believed" in shown and "It tells which way things go" in shown
    assert "verb, not to be believed" in shown and "too few to judge a class by: move_left (6)" in shown
    assert "says it with pictures" in shown and f'models:="[{out.resolve()}/heads/verb]"' in shown
    assert "It tells which way things go" in (out / "trust.html").read_text()
    assert Head.from_pretrained(out / "heads" / "verb").config.probe.kind == "moments"
