"""The file, the tables and the page that come from a run."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from step_ros.benchmark.page import PageError, update_page
from step_ros.benchmark.results import Results, ResultsError
from step_ros.benchmark.table import COLUMNS, cells
from step_ros.benchmark.targets import targets
from step_ros.cli.benchmark import benchmark
from step_ros.cli.benchmark_page import benchmark_page

PAGE = Path(__file__).resolve().parents[2] / "docs" / "performance.md"

# The run that all look at is made by whichever comes first.
pytestmark = pytest.mark.timeout(600)


def test_the_file_holds_everything_and_is_read_back(results: Results, tmp_path: Path) -> None:
    path = tmp_path / "made" / "cpu.json"
    results.save(path)
    assert Results.load(path) == results
    fields = {"method", "backbone", "engine", "frames", "tasks", "median_ms", "p99_ms", "flops", "peak_mb"}
    for row in json.loads(path.read_text())["rows"]:
        assert fields | {"roofline_fraction"} <= set(row)


@pytest.mark.parametrize("content", [None, "", "[]", '{"preset": "cpu"}', '{"rows": 3}'])
def test_another_file_is_an_error_that_names_it(content: str | None, tmp_path: Path) -> None:
    path = tmp_path / "other.json"
    if content is not None:
        path.write_text(content)
    with pytest.raises(ResultsError, match=r"other\.json"):
        Results.load(path)
    with pytest.raises(ResultsError, match=r"other\.json"):
        benchmark_page(path, PAGE)


def test_targets_are_those_that_the_run_has_rows_for(results: Results) -> None:
    found = {target.what: target for target in targets(results)}
    assert set(found) == {
        "ViT-S/14, T = 8, three tasks: updates a second",
        "ViT-B/14, T = 16, three tasks: share of `recompute`'s FLOPs",
    }
    share = found["ViT-B/14, T = 16, three tasks: share of `recompute`'s FLOPs"]
    assert share.reached == (share.found <= 0.1)


def test_the_page_is_made_anew_from_a_run(results: Results, tmp_path: Path) -> None:
    page = tmp_path / "performance.md"
    page.write_text(PAGE.read_text())
    further = {"paper": "beside the paper"}
    written = update_page(page, results, further)
    assert {path.name for path in written} == {"performance.md", "cost.png"}
    assert all(path.stat().st_size for path in written)
    text = page.read_text()
    assert "<!-- paper -->\nbeside the paper\n<!-- /paper -->" in text
    assert text.count("| streaming |") == 4 and all(column in text for column in COLUMNS)
    assert all(f"| {' | '.join(cells(row))} |" in text for row in results.rows)
    update_page(page, results, further)
    assert page.read_text() == text, "a second time changes nothing"


def test_a_page_without_markers_is_an_error(results: Results, tmp_path: Path) -> None:
    page = tmp_path / "performance.md"
    page.write_text("# Performance\n")
    with pytest.raises(PageError, match="lacks the markers <!-- machine -->"):
        update_page(page, results, {})
    assert page.read_text() == "# Performance\n"


def test_the_page_of_the_documentation_has_all_markers() -> None:
    text = PAGE.read_text()
    for name in ("machine", "targets", "rows", "paper"):
        assert text.count(f"<!-- {name} -->") == text.count(f"<!-- /{name} -->") == 1


def test_without_a_gpu_its_preset_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("torch.cuda.is_available", lambda: False)
    with pytest.raises(ValueError, match="the preset 'gpu' needs an NVIDIA GPU"):
        benchmark("gpu")
