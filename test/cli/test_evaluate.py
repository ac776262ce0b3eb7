"""What `step-ros evaluate` says of the clips that it does not judge by."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest

Run = Callable[..., None]


def test_clips_that_are_too_short_are_named(data: Path, run: Run, capsys: pytest.CaptureFixture[str]) -> None:
    lines = (data / "clips.csv").read_text().splitlines()
    rows = [line.split(",") for line in lines[1:]]
    short = {"scene2/0.mp4", "scene2/1.mp4"}
    table = [
        f"{video},0,{0.5 if video in short else 2},{'test' if scene == 'scene2' else 'train'},"
        f"{'wave' if video == 'scene2/3.mp4' else verb}"
        for video, scene, verb, _ in rows
    ]
    (data / "clips.csv").write_text("\n".join(["video,start,end,split,verb", *table]) + "\n")
    store, heads, out = data / "store", data / "heads", data / "results.json"
    run("extract", "--data", data / "clips.csv", "--backbone", data / "backbone", "--frames", 4,
        "--window", 1, "--out", store, "--engine", "eager")  # fmt: skip
    shown = " ".join(capsys.readouterr().out.split())
    assert "clips.csv:10, clips.csv:11: 2 of 12 clips are shorter than a window (1 s)" in shown
    assert "no head is judged by 2 in which no window of 1 s lies: scene2__0.mp4 0.00-0.50 s" in shown

    run("train", "--store", store, "--out", heads, "--probe", "moments")
    capsys.readouterr()
    run("evaluate", "--store", store, "--heads", heads, "--json", out)
    shown = " ".join(capsys.readouterr().out.split())
    assert "not judged: no window of 1 s lies in 2 clips: scene2__0.mp4 0.00-0.50 s, scene2__1.mp4" in shown
    left_out = json.loads(out.read_text())["verb"]["left_out"]
    assert left_out["too_short"] == ["scene2__0.mp4 0.00-0.50 s", "scene2__1.mp4 0.00-0.50 s"]
