"""What a run measures: every method gives the same answer, and every row says all that it should."""

from __future__ import annotations

import math

import pytest
import torch

from step_ros.benchmark.presets import PRESETS, Preset
from step_ros.benchmark.results import Results
from step_ros.benchmark.roofline import Roofline, measure_roofline
from step_ros.benchmark.row import Case
from step_ros.benchmark.session import run_cases, run_preset
from step_ros.benchmark.video_models import VIDEO_MODELS

from .conftest import OURS, small_backbone

# The run that all look at is made by whichever comes first.
pytestmark = pytest.mark.timeout(600)


def test_every_case_and_method_has_a_row(results: Results) -> None:
    found = {(row.method, row.backbone, row.frames, row.tasks, row.cameras) for row in results.rows}
    expected = {(method, "vitb14", 16, tasks, 1) for method in (*OURS, "multi_pass") for tasks in (1, 3)}
    expected |= {(method, "vits14", 8, 3, 1) for method in OURS} | {("streaming", "vits14", 8, 3, 2)}
    assert found == expected and len(results.rows) == len(expected)
    assert [each.backbone for each in results.backbone_frames] == ["vitb14", "vits14"]


def test_all_methods_give_the_same_answer(results: Results) -> None:
    compared = [row for row in results.rows if row.method in OURS and row.cameras == 1]
    assert len(compared) == 9
    assert all(row.error is not None and row.error < 1e-4 for row in compared)


def test_rows_hold_figures_that_make_sense(results: Results) -> None:
    for row in results.rows:
        assert row.engine == "eager in float32" and row.updates >= 3
        assert 0 < row.best_ms <= row.median_ms <= row.p99_ms
        assert row.updates_per_second == pytest.approx(1e3 / row.median_ms)
        assert row.flops > 0 and row.roofline_fraction > 0
        assert math.isnan(row.peak_mb) or row.peak_mb >= 0
        assert (row.heads_memory_mb > 0) == (row.method == "streaming")


def test_cameras_and_passes_multiply_what_is_counted(results: Results) -> None:
    one, two = (results.row("streaming", "vits14", 8, 3, cameras) for cameras in (1, 2))
    assert one and two and two.flops == 2 * one.flops
    single, three = (results.row("multi_pass", "vitb14", 16, tasks) for tasks in (1, 3))
    assert single and three and three.flops == 3 * single.flops


def test_cases_without_time_are_named() -> None:
    preset = Preset("cpu", (Case("vits14", 8, 1, ("cached",)),), seconds=0.0, limit_seconds=-1.0)
    limits = Roofline(flops_per_second=1e11, bytes_per_second=1e10)
    results = run_cases("cpu", preset, engine="eager", make_backbone=small_backbone, roofline=limits)
    assert results.rows == [] and results.left_out == ["vits14, T = 8, tasks: 1, cameras: 1: cached"]


def test_presets_ask_for_all_that_the_table_is_about() -> None:
    for preset in PRESETS.values():
        methods = {method for case in preset.cases for method in case.methods}
        assert methods == {*OURS, "multi_pass", *VIDEO_MODELS}
        assert {case.tasks for case in preset.cases} == set(range(1, 7))
        assert {case.frames for case in preset.cases} == {8, 16, 32}
        assert {case.backbone for case in preset.cases} == {"vits14", "vitb14", "vitl14"}
    assert max(case.cameras for case in PRESETS["gpu"].cases) == 16


def test_the_limits_of_this_machine_are_measured(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("step_ros.benchmark.roofline._MATRIX", {"cpu": 64})
    monkeypatch.setattr("step_ros.benchmark.roofline._COPIED_BYTES", {"cpu": 2**20})
    limits = measure_roofline(torch.device("cpu"))
    assert limits.flops_per_second > 0 and limits.bytes_per_second > 0
    rate, bandwidth = limits.flops_per_second, limits.bytes_per_second
    assert limits.floor_seconds(int(rate), int(bandwidth / 2)) == pytest.approx(1.0, rel=0.01)
    assert limits.floor_seconds(int(rate), int(bandwidth * 2)) == pytest.approx(2.0, rel=0.01)


def test_an_unknown_preset_is_an_error_that_lists_the_known_ones() -> None:
    with pytest.raises(ValueError, match="no preset 'tpu'; there are cpu, gpu"):
        run_preset("tpu")
