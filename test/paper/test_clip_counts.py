"""A run's counts beside the paper's, on the page of the documentation."""

from __future__ import annotations

from pathlib import Path

import cv2

from step_ros.benchmark.results import BackboneFrame, Results
from step_ros.benchmark.roofline import Roofline
from step_ros.benchmark.row import Row
from step_ros.cli.benchmark_page import benchmark_page
from step_ros.paper.clip_counts import clip_counts

PAGE = Path(__file__).resolve().parents[2] / "docs" / "performance.md"
FLOPS = {"recompute": 954e9, "streaming": 83e9, "multi_pass": 2223e9}


def results_of(methods: list[str]) -> Results:
    """A run with three tasks on a ViT-B/14."""
    rows = [
        Row(
            method, "vitb14", "eager in float32", frames=16, tasks=3, cameras=1, updates=3, median_ms=2.0,
            best_ms=1.0, p99_ms=3.0, updates_per_second=500.0, flops=int(FLOPS[method]), peak_mb=100.0,
            roofline_fraction=0.5, heads_memory_mb=0.0, error=None,
        )
        for method in methods
    ]  # fmt: skip
    machine = {"processor": "a processor", "threads": "2"}
    frames = [BackboneFrame("vitb14", "eager in float32", 1.0)]
    return Results("cpu", machine, Roofline(1e11, 1e10), frames, rows)


def test_counts_stand_beside_those_of_tables_1_and_5() -> None:
    counts = clip_counts(results_of(list(FLOPS)))
    assert [each.paper for each in counts] == [351.5, 413.1, 536.5, 1087, 3297, None]
    ours = [None if each.ours is None else round(each.ours, 1) for each in counts]
    assert ours == [370.5, 406.0, 477.0, 1111.5, None, 41.5]
    assert clip_counts(results_of(["streaming"])) == []


def test_the_page_gets_their_table_and_plot(tmp_path: Path) -> None:
    page, run = tmp_path / "performance.md", tmp_path / "run.json"
    page.write_text(PAGE.read_text())
    results_of(list(FLOPS)).save(run)
    benchmark_page(run, page)
    assert "| STEP, three tasks | 536.5 | 477 |\n" in page.read_text()
    assert cv2.imread(str(tmp_path / "performance" / "flops.png")).std() > 10
    assert (tmp_path / "performance" / "cost.png").exists()


def test_a_run_without_that_backbone_leaves_the_table_empty(tmp_path: Path) -> None:
    page, run = tmp_path / "performance.md", tmp_path / "run.json"
    page.write_text(PAGE.read_text())
    results_of(["streaming"]).save(run)
    benchmark_page(run, page)
    assert "| --- | --- | --- |\n<!-- /paper -->" in page.read_text()
    assert not (tmp_path / "performance" / "flops.png").exists()
