"""Scores of probabilities against torchmetrics and scikit-learn, and where not all are known."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from torchmetrics.functional.classification import multiclass_average_precision, multiclass_calibration_error

from step_ros.scores.probabilities import calibration_error, evaluate, softmax


def said(classes: int, *, decimals: int = 6) -> tuple[NDArray[np.float32], NDArray[np.int64]]:
    """Probabilities of 300 rows, some of them sure, and targets, of which the last class is none."""
    generator = np.random.default_rng(classes)
    rows = softmax(generator.normal(0, 3, (300, classes))).round(decimals).astype(np.float32)
    rows[:3] = np.eye(classes)[:3]
    return rows, generator.integers(0, classes - 1, 300)


@pytest.mark.parametrize("classes", [3, 10])
@pytest.mark.parametrize("decimals", [6, 1])  # of few decimals, many are equal
def test_agrees_with_torchmetrics(classes: int, decimals: int) -> None:
    rows, targets = said(classes, decimals=decimals)
    given, truth = torch.from_numpy(rows), torch.from_numpy(targets)
    by_class = multiclass_average_precision(given, truth, classes, average=None)[: classes - 1]
    found = evaluate(rows, targets)
    assert found.map == pytest.approx(float(by_class.mean()), abs=1e-6)
    if decimals == 6:  # of one decimal, confidences lie on the edges of bins, give or take a bit
        error = multiclass_calibration_error(given, truth, classes, n_bins=15)
        assert found.calibration_error == pytest.approx(float(error), abs=1e-6)


def test_confidence_of_one() -> None:
    assert calibration_error(np.array([1.0, 1.0]), np.array([True, False])) == 0.5


def test_a_confidence_is_known_where_not_all_probabilities_are() -> None:
    whole, targets = said(5)
    best = np.where(whole == whole.max(axis=1, keepdims=True), whole, np.nan)
    assert evaluate(best, targets).map is None
    assert evaluate(best, targets).calibration_error == evaluate(whole, targets).calibration_error


def test_nothing_said_is_nothing_to_count() -> None:
    assert set(evaluate(np.zeros((0, 3)), np.zeros(0, np.int64)).to_json().values()) == {None}


@pytest.mark.parametrize(
    ("shape", "targets", "message"),
    [((2, 3), [0], r"got \(2, 3\) and \(1,\)"), ((1, 3), [3], r"3 labels, got \[3\]")],
)
def test_what_does_not_fit_is_an_error(shape: tuple[int, int], targets: list[int], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        evaluate(np.zeros(shape), np.array(targets))
