"""What several tasks cost: counted like the papers count, and timed."""

from __future__ import annotations

from pathlib import Path

import cv2
import pytest

from step_ros.paper.several_tasks import MethodCost, count, measure
from step_ros.paper.several_tasks_figure import draw_figure
from step_ros.peft import AdapterError


@pytest.fixture(scope="module")
def costs() -> dict[str, MethodCost]:
    """Of ViT-B/14 and 16 frames, as in the paper."""
    return {cost.method: cost for cost in count()}


def test_probe_passes_the_backbone_once_and_adapters_once_a_task(costs: dict[str, MethodCost]) -> None:
    step, adapter = costs["STEP"], costs["ST-Adaptor"]
    assert step.passes(8) == 1 and adapter.passes(8) == 8
    assert step.macs(3) == step.pass_macs + 3 * step.head_macs
    assert adapter.macs(3) == 3 * adapter.macs(1)
    # What STEP adds is small beside another pass.
    assert step.macs(8) < 2.5 * step.pass_macs < adapter.macs(3)


def test_counts_are_those_of_the_paper(costs: dict[str, MethodCost]) -> None:
    # Table I: 351.5 for linear probing, which leaves out the two products of attention.
    products = 2 * 257**2 * 768 * 12 * 16
    assert (costs["STEP"].pass_macs - products) / 1e9 == pytest.approx(351.5, rel=0.005)
    # Tables I and V: 1099, 1128 and 1130 for these; of three views of a clip, as their own papers have it.
    for method, published in (("ST-Adaptor", 1099), ("M2-CLIP", 1128), ("VitaCLIP", 1130)):
        assert published / 3 / (costs[method].macs(1) / 1e9) == pytest.approx(1, abs=0.15)


def test_adapters_that_mix_frames_encode_a_whole_window_for_each_frame(costs: dict[str, MethodCost]) -> None:
    assert costs["STEP"].macs_a_frame(3) == costs["STEP"].pass_macs // 16
    assert costs["VPT"].macs_a_frame(3) == 3 * costs["VPT"].pass_macs // 16
    assert costs["ST-Adaptor"].macs_a_frame(3) == 3 * costs["ST-Adaptor"].pass_macs


def test_methods_are_timed_and_drawn(tmp_path: Path) -> None:
    timed = measure("vits14", frames=2, rounds=1)
    assert all(cost.seconds(3) > cost.seconds(1) > 0 for cost in timed)  # type: ignore[operator]
    path = tmp_path / "pictures" / "figure4.png"
    draw_figure(timed, path)
    assert cv2.imread(str(path)).std() > 10


def test_size_that_does_not_exist_is_named() -> None:
    with pytest.raises(AdapterError, match="there is no backbone 'vitx'"):
        count("vitx")
