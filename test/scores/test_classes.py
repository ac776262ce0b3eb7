"""Class by class, against counts made by hand."""

from __future__ import annotations

import numpy as np
import pytest
from sklearn.metrics import precision_recall_fscore_support

from step_ros.scores.classes import (
    ClassResult,
    PairResult,
    class_result,
    confusion_matrix,
    evaluate,
    label_scores,
)
from step_ros.scores.tables import class_rows, csv_table, markdown_table

LABELS = ["open", "close", "wave", "never"]
TRUTH = np.array([0, 0, 0, 1, 2])
ANSWERS = np.array([0, 1, 1, 1, 0])
LOGITS = np.eye(4)[ANSWERS] * np.array([4.0, 3, 2, 1, 0.5])[:, None]


def test_classes_and_pairs() -> None:
    report = evaluate(LOGITS, TRUTH, LABELS, [("open", "close")])
    assert report.classes == [
        ClassResult("open", 3, pytest.approx(1 / 3), "close", pytest.approx(2 / 3)),
        ClassResult("close", 1, 1.0, None, 0.0),
        ClassResult("wave", 1, 0.0, "open", 1.0),
    ]
    assert report.pairs == [PairResult("open", "close", 4, pytest.approx(2 / 3), 0.0)]
    unseen = evaluate(LOGITS, TRUTH, LABELS, [("wave", "never")]).pairs[0]
    assert (unseen.first_as_second, unseen.second_as_first) == (0.0, None)


def test_rejection_takes_the_least_confident_first() -> None:
    curve = evaluate(LOGITS, TRUTH, LABELS, []).rejection
    assert (curve[0].threshold, curve[0].accepted, curve[0].accuracy) == (0.0, 1.0, pytest.approx(0.4))
    accepted = [point.accepted for point in curve]
    assert accepted == sorted(accepted, reverse=True)
    last = curve[-1]  # 0.95: only softmax of (4, 0, 0, 0) = 0.948 comes near
    assert (last.accepted, last.accuracy) == (0.0, None)


def test_tables_in_markdown_and_csv() -> None:
    rows = class_rows(evaluate(LOGITS, TRUTH, LABELS, []))
    assert markdown_table(rows).splitlines()[1:3] == [
        "| --- | ---: | ---: | ---: | ---: |",
        "| open | 3 | 33.3 | close | 66.7 |",
    ]
    assert csv_table(rows).splitlines()[2] == "close,1,100.0,-,0.0"


def test_precision_and_recall_agree_with_scikit_learn() -> None:
    counts = confusion_matrix(TRUTH, ANSWERS, 4)
    expected = precision_recall_fscore_support(TRUTH, ANSWERS, labels=range(4), zero_division=0.0)
    for label, (precision, recall, f1, support) in enumerate(zip(*expected, strict=True)):
        found = label_scores(counts, label)
        assert (found.support, found.recall) == (support, pytest.approx(recall) if support else None)
        assert (found.precision, found.f1) == (pytest.approx(precision), pytest.approx(f1))


def test_what_a_label_is_taken_for() -> None:
    counts = confusion_matrix(TRUTH, ANSWERS, 4)
    assert class_result(counts, LABELS, LABELS.index("open")).confusion == "close"
    assert class_result(counts, LABELS, LABELS.index("close")).confusion is None
