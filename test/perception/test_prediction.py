"""Predictions: which label, how sure, what else."""

from __future__ import annotations

import numpy as np
import pytest

from step_ros.perception import UNKNOWN, Prediction

PREDICTION = Prediction("object", ("cup", "tin", "box"), np.array([0.2, 0.5, 0.3], dtype=np.float32))


def test_the_label_is_the_most_probable_one() -> None:
    assert (PREDICTION.label, PREDICTION.confidence) == ("tin", 0.5)


def test_top_is_sorted_and_never_longer_than_the_labels() -> None:
    assert [label for label, _ in PREDICTION.top(2)] == ["tin", "box"]
    assert [label for label, _ in PREDICTION.top(9)] == ["tin", "box", "cup"]
    assert PREDICTION.top(1) == [("tin", 0.5)]


def test_equally_probable_labels_keep_their_order() -> None:
    even = Prediction("object", ("cup", "tin"), np.array([0.5, 0.5], dtype=np.float32))
    assert even.label == "cup" and even.top(1)[0][0] == "cup"


def test_probability_of_a_label() -> None:
    assert PREDICTION.probability("box") == pytest.approx(0.3)
    with pytest.raises(ValueError, match="object has no label 'jar'"):
        PREDICTION.probability("jar")


def test_probabilities_must_be_one_a_label() -> None:
    with pytest.raises(ValueError, match=r"object: expected 2 probabilities, .* got shape \(3,\)"):
        Prediction("object", ("cup", "tin"), np.zeros(3, dtype=np.float32))


def test_a_best_label_below_the_threshold_comes_after_unknown() -> None:
    prediction = Prediction("door", ("open", "close", "idle"), np.array([0.2, 0.5, 0.3], np.float32))
    assert prediction.decided(2, threshold=0.5) == prediction.top(2)
    (unknown, rest), *others = prediction.decided(2, threshold=0.6)
    assert unknown == UNKNOWN and rest == pytest.approx(0.5)
    assert others == prediction.top(2)
