"""Clip metrics against shares counted by hand."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from torchmetrics.functional.classification import multiclass_accuracy, multiclass_calibration_error

from step_ros.scores.clips import among_likeliest, evaluate
from step_ros.scores.probabilities import softmax

LABELS = ["idle", "open", "close", "wave"]
PAIRS = [("open", "close")]


def answers(*labels: str) -> NDArray[np.float64]:
    return 5 * np.eye(len(LABELS))[indices(*labels)]


def indices(*labels: str) -> NDArray[np.int64]:
    return np.array([LABELS.index(name) for name in labels])


def test_shares() -> None:
    truth = indices("open", "open", "close", "wave", "wave", "idle")
    forwards = answers("open", "close", "close", "wave", "idle", "idle")
    backwards = answers("close", "open", "close", "wave", "idle", "idle")
    metrics = evaluate(forwards, backwards, truth, LABELS, PAIRS)
    assert metrics.clips == 6
    assert metrics.top1 == pytest.approx(4 / 6)
    assert metrics.symmetric == pytest.approx(2 / 3)
    assert metrics.non_symmetric == pytest.approx(2 / 3)
    assert metrics.mean_class == pytest.approx((1 / 2 + 1 + 1 / 2 + 1) / 4)
    assert metrics.reversed_top1 == pytest.approx(4 / 6)
    # Right forwards: the first and third clip; backwards only the first became its partner.
    assert metrics.reversed_to_partner == pytest.approx(1 / 2)


def test_a_class_without_clips_does_not_count() -> None:
    metrics = evaluate(answers("open"), answers("close"), indices("open"), LABELS, PAIRS)
    assert metrics.mean_class == 1.0
    assert metrics.non_symmetric is None


def test_without_pairs_nothing_is_symmetric() -> None:
    metrics = evaluate(answers("open"), answers("open"), indices("open"), LABELS, [])
    assert metrics.symmetric is None
    assert metrics.reversed_to_partner is None


def test_no_clips_is_an_error() -> None:
    with pytest.raises(ValueError, match="no clips"):
        evaluate(np.zeros((0, 4)), np.zeros((0, 4)), np.zeros(0, np.int64), LABELS, PAIRS)


def test_logits_of_other_labels_are_an_error() -> None:
    with pytest.raises(ValueError, match=r"1 clips and 4 labels are needed, got \(1, 3\)"):
        evaluate(answers("open"), answers("open")[:, :3], indices("open"), LABELS, PAIRS)


def test_the_choice_between_a_class_and_its_partner() -> None:
    truth = indices("open", "close", "wave")
    logits = answers("wave", "open", "wave")
    logits[0, LABELS.index("open")] = 1.0  # not the answer, but before "close"
    metrics = evaluate(logits, logits, truth, LABELS, PAIRS)
    assert metrics.symmetric == 0.0
    assert metrics.pair_accuracy == pytest.approx(1 / 2)


def test_direction_counts_clips_in_both_directions() -> None:
    labels, truth = ["forward", "reversed"], np.array([0, 0])
    forwards, backwards = np.array([[2.0, 0], [2, 0]]), np.array([[0, 2.0], [2, 0]])
    metrics = evaluate(forwards, backwards, truth, labels, [("forward", "reversed")], direction=True)
    assert metrics.direction_accuracy == pytest.approx(3 / 4)
    assert evaluate(forwards, backwards, truth, labels, []).direction_accuracy is None


def test_calibration_error_is_the_gap_between_confidence_and_accuracy() -> None:
    logits = np.log([[0.9, 0.1]] * 10)
    truth = np.array([0] * 6 + [1] * 4)
    metrics = evaluate(logits, logits, truth, ["a", "b"], [])
    assert metrics.calibration_error == pytest.approx(0.3, abs=1e-5)
    hot = evaluate(logits, logits, truth, ["a", "b"], [], temperature=100.0)
    assert hot.calibration_error == pytest.approx(0.1, abs=0.01)


@pytest.mark.parametrize("classes", [3, 8, 40])
def test_agrees_with_torchmetrics(classes: int) -> None:
    generator = np.random.default_rng(classes)
    logits = generator.normal(0, 2, (200, classes)).astype(np.float32)
    targets = generator.integers(0, classes - 1, 200)  # the last class has no clips
    found = evaluate(logits, logits, targets, [str(i) for i in range(classes)], [], temperature=0.7)
    given, truth = torch.from_numpy(logits), torch.from_numpy(targets)
    top5 = multiclass_accuracy(given, truth, classes, top_k=min(5, classes), average="micro")
    by_class = multiclass_accuracy(given, truth, classes, average=None)[: classes - 1]
    error = multiclass_calibration_error((given / 0.7).softmax(-1), truth, classes, n_bins=15)
    assert found.top5 == pytest.approx(float(top5), abs=1e-6)
    assert found.mean_class == pytest.approx(float(by_class.mean()), abs=1e-6)
    assert found.calibration_error == pytest.approx(float(error), abs=1e-6)


def test_a_class_that_nobody_could_say_is_not_said() -> None:
    logits = np.array([[0.0, -1, -np.inf, -np.inf]])  # as the order-blind probe says of classes it never saw
    assert not among_likeliest(logits, np.array([3]), 3).any()
    assert softmax(logits)[0].tolist() == pytest.approx([0.7311, 0.2689, 0, 0], abs=1e-4)
