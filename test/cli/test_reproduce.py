"""The paper's tables, of data of one's own."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest

Run = Callable[..., None]


def test_reproduce_runs_a_table_on_own_data(data: Path, run: Run, capsys: pytest.CaptureFixture[str]) -> None:
    run("reproduce", "--list")
    shown = capsys.readouterr().out
    assert all(f"table{number}" in shown for number in range(1, 11))
    run("reproduce", "table10", "--data", data / "clips.csv", "--backbone", data / "backbone",
        "--stores", data / "stores", "--frames", 4, "--task", "verb", "--rotate", "scene1", "scene2",
        "--seeds", 2, "--fit.steps", 3, "--json", data / "table.json",
        "--markdown", data / "table.md")  # fmt: skip
    shown = capsys.readouterr().out
    assert "skipped: hri30 (give it as --data hri30=FOLDER)" in shown
    (content,) = json.loads((data / "table.json").read_text()).values()
    assert [row["method"] for row in content["rows"]] == [
        "self_attention",
        "self-attention with global CLS",
        "self-attention with temporal PE",
        "step",
    ]
    runs = content["rows"][0]["runs"]
    assert [(r["held_out"], r["seed"]) for r in runs] == [
        ("scene1", 0),
        ("scene1", 1),
        ("scene2", 0),
        ("scene2", 1),
    ]
    assert "±" in (data / "table.md").read_text()


def test_tables_of_adapters(data: Path, run: Run, capsys: pytest.CaptureFixture[str]) -> None:
    run("reproduce", "table4", "--data", data / "clips.csv", "--backbone", data / "backbone",
        "--stores", data / "stores", "--frames", 4, "--task", "verb", "--rotate", "scene1", "--fit.steps", 2,
        "--fit.batch-size", 4, "--fit.adapter.size", 2, "--fit.adapter.head-steps", 2,
        "--rows", "AdaptFormer, linear", "VPT, step", "--json", data / "table.json")  # fmt: skip
    (content,) = json.loads((data / "table.json").read_text()).values()
    methods = ["AdaptFormer, linear", "VPT, step"]
    assert [row["method"] for row in content["rows"]] == methods
    assert all(row["parameters"] > 0 and len(row["training_seconds"]) == 1 for row in content["rows"])
    run("reproduce", "table5", "--no-timed", "--markdown", data / "table5.md")
    assert "| STEP | 1 |" in (data / "table5.md").read_text()
    assert "3 views" in capsys.readouterr().out.replace("\n", " ")
