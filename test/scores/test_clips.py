"""Clip metrics against shares counted by hand."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

from step_ros.scores.clips import clip_metrics

LABELS = ["idle", "open", "close", "wave"]
PAIRS = [("open", "close")]


def answers(*labels: str) -> Tensor:
    return (
        5
        * torch.nn.functional.one_hot(
            torch.tensor([LABELS.index(name) for name in labels]), len(LABELS)
        ).float()
    )


def indices(*labels: str) -> Tensor:
    return torch.tensor([LABELS.index(name) for name in labels])


def test_shares() -> None:
    truth = indices("open", "open", "close", "wave", "wave", "idle")
    forwards = answers("open", "close", "close", "wave", "idle", "idle")
    backwards = answers("close", "open", "close", "wave", "idle", "idle")
    metrics = clip_metrics(forwards, backwards, truth, LABELS, PAIRS)
    assert metrics.clips == 6
    assert metrics.top1 == pytest.approx(4 / 6)
    assert metrics.symmetric == pytest.approx(2 / 3)
    assert metrics.non_symmetric == pytest.approx(2 / 3)
    assert metrics.mean_class == pytest.approx((1 / 2 + 1 + 1 / 2 + 1) / 4)
    assert metrics.reversed_top1 == pytest.approx(4 / 6)
    # Right forwards: the first and third clip; backwards only the first became its partner.
    assert metrics.reversed_to_partner == pytest.approx(1 / 2)


def test_a_class_without_clips_does_not_count() -> None:
    metrics = clip_metrics(answers("open"), answers("close"), indices("open"), LABELS, PAIRS)
    assert metrics.mean_class == 1.0
    assert metrics.non_symmetric is None


def test_without_pairs_nothing_is_symmetric() -> None:
    metrics = clip_metrics(answers("open"), answers("open"), indices("open"), LABELS, [])
    assert metrics.symmetric is None
    assert metrics.reversed_to_partner is None


def test_no_clips_is_an_error() -> None:
    with pytest.raises(ValueError, match="no clips"):
        clip_metrics(torch.zeros(0, 4), torch.zeros(0, 4), torch.zeros(0, dtype=torch.long), LABELS, PAIRS)


def test_the_choice_between_a_class_and_its_partner() -> None:
    truth = indices("open", "close", "wave")
    logits = answers("wave", "open", "wave")
    logits[0, LABELS.index("open")] = 1.0  # not the answer, but before "close"
    metrics = clip_metrics(logits, logits, truth, LABELS, PAIRS)
    assert metrics.symmetric == 0.0
    assert metrics.pair_accuracy == pytest.approx(1 / 2)


def test_direction_counts_clips_in_both_directions() -> None:
    labels, truth = ["forward", "reversed"], torch.tensor([0, 0])
    forwards, backwards = torch.tensor([[2.0, 0], [2, 0]]), torch.tensor([[0, 2.0], [2, 0]])
    metrics = clip_metrics(forwards, backwards, truth, labels, [("forward", "reversed")], direction=True)
    assert metrics.direction_accuracy == pytest.approx(3 / 4)
    assert clip_metrics(forwards, backwards, truth, labels, []).direction_accuracy is None


def test_calibration_error_is_the_gap_between_confidence_and_accuracy() -> None:
    logits = torch.tensor([[0.9, 0.1]] * 10).log()
    truth = torch.tensor([0] * 6 + [1] * 4)
    metrics = clip_metrics(logits, logits, truth, ["a", "b"], [])
    assert metrics.calibration_error == pytest.approx(0.3, abs=1e-5)
    hot = clip_metrics(logits, logits, truth, ["a", "b"], [], temperature=100.0)
    assert hot.calibration_error == pytest.approx(0.1, abs=0.01)
