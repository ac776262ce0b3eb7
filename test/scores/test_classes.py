"""Class by class, against counts made by hand."""

from __future__ import annotations

import pytest
import torch

from step_ros.paper.tables import class_rows, csv_table, markdown_table
from step_ros.scores.classes import ClassResult, PairResult, class_report

LABELS = ["open", "close", "wave", "never"]
TRUTH = torch.tensor([0, 0, 0, 1, 2])
ANSWERS = torch.tensor([0, 1, 1, 1, 0])
LOGITS = torch.nn.functional.one_hot(ANSWERS, 4).float() * torch.tensor([4.0, 3, 2, 1, 0.5])[:, None]


def test_classes_and_pairs() -> None:
    report = class_report(LOGITS, TRUTH, LABELS, [("open", "close")])
    assert report.classes == [
        ClassResult("open", 3, pytest.approx(1 / 3), "close", pytest.approx(2 / 3)),
        ClassResult("close", 1, 1.0, None, 0.0),
        ClassResult("wave", 1, 0.0, "open", 1.0),
    ]
    assert report.pairs == [PairResult("open", "close", 4, pytest.approx(2 / 3), 0.0)]
    unseen = class_report(LOGITS, TRUTH, LABELS, [("wave", "never")]).pairs[0]
    assert (unseen.first_as_second, unseen.second_as_first) == (0.0, None)


def test_rejection_takes_the_least_confident_first() -> None:
    curve = class_report(LOGITS, TRUTH, LABELS, []).rejection
    assert (curve[0].threshold, curve[0].accepted, curve[0].accuracy) == (0.0, 1.0, pytest.approx(0.4))
    accepted = [point.accepted for point in curve]
    assert accepted == sorted(accepted, reverse=True)
    last = curve[-1]  # 0.95: only softmax of (4, 0, 0, 0) = 0.948 comes near
    assert (last.accepted, last.accuracy) == (0.0, None)


def test_tables_in_markdown_and_csv() -> None:
    rows = class_rows(class_report(LOGITS, TRUTH, LABELS, []))
    assert markdown_table(rows).splitlines()[1:3] == [
        "| --- | ---: | ---: | ---: | ---: |",
        "| open | 3 | 33.3 | close | 66.7 |",
    ]
    assert csv_table(rows).splitlines()[2] == "close,1,100.0,-,0.0"
