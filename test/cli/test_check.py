"""What `step-ros check` shows, writes and ends with; and that `extract` stops where it does."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest

Run = Callable[..., None]


def test_sound_clips_are_shown_and_nothing_is_wrong(
    data: Path, run: Run, capsys: pytest.CaptureFixture[str]
) -> None:
    out = data / "check.json"
    run("check", "--data", data / "clips.csv", "--group", "scene", "--json", out)
    shown = capsys.readouterr().out
    assert "move_left" in shown and "error: " not in shown
    assert "note: verb: move_left <-> move_right (left and right)" in shown
    found = json.loads(out.read_text())
    assert found["tasks"] == {
        "verb": {"move_left": {"clips": 6}, "move_right": {"clips": 6}},
        "thing": {"box": {"clips": 6}, "square": {"clips": 6}},
    }
    assert {doubt["severity"] for doubt in found["doubts"]} == {"note"}


def test_an_error_ends_with_1_and_extract_stops_at_it_before_it_encodes(
    data: Path, run: Run, capsys: pytest.CaptureFixture[str]
) -> None:
    path, out = data / "clips.csv", data / "check.json"
    path.write_text(
        path.read_text().replace("move_left,box", "Move_Left,box", 1) + "nowhere.mp4,scene9,wave,box\n"
    )
    with pytest.raises(SystemExit, match="1"):
        run("check", "--data", path, "--group", "scene", "--json", out)
    shown = capsys.readouterr().out
    first = shown.index("error: clips.csv:5: verb has labels that differ in case")
    assert first < shown.index("doubt: clips.csv:14: left out: there is no")
    error, *_ = json.loads(out.read_text())["doubts"]
    assert (error["severity"], error["places"]) == ("error", ["clips.csv:5"])
    with pytest.raises(SystemExit, match="1"):
        run("extract", "--data", path, "--backbone", data / "backbone", "--out", data / "store")
    assert "clips.csv:5: verb has labels that differ in case" in " ".join(capsys.readouterr().err.split())
    assert not (data / "store").exists()


def test_a_doubt_does_not_stop_extract(data: Path, run: Run, capsys: pytest.CaptureFixture[str]) -> None:
    path = data / "clips.csv"
    path.write_bytes((path.read_text() + "scene0/0.mp4,scene0,öffnen,box\n").encode("latin-1"))
    run("extract", "--data", path, "--backbone", data / "backbone", "--frames", 2, "--engine", "eager",
        "--out", data / "store")  # fmt: skip
    shown = " ".join(capsys.readouterr().out.split())
    assert "fewer than 5 training clips teach öffnen (1)" in shown
    assert "note: " in shown and "not UTF-8; read as Latin-1" in shown
    assert "13 clips of 12 videos" in shown


def test_a_csv_of_the_wrong_shape_is_told_before_anything_else(
    data: Path, run: Run, capsys: pytest.CaptureFixture[str]
) -> None:
    path = data / "clips.csv"
    path.write_text(path.read_text().replace("move_left,box", "move_left,box,7"))
    with pytest.raises(SystemExit, match="1"):
        run("check", "--data", path)
    said = " ".join(capsys.readouterr().err.split())
    assert said.startswith("step-ros check: ") and "clips.csv:5, 9, 13: more cells than the 4 columns" in said
