"""What fields say of scores is what tables and JSON show."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Annotated, ClassVar

import pytest

from step_ros.scores.score import Score, Scores, described, percent, score_rows, value_at


@dataclass(frozen=True)
class Waits(Scores):
    median: Annotated[float | None, Score("median", "s", "of all", ".2f")]


@dataclass(frozen=True)
class Exact(Scores):
    DECIMALS: ClassVar[int | None] = None
    share: Annotated[float, Score("share", "%")]


@dataclass(frozen=True)
class Everything(Scores):
    count: Annotated[int, Score("clips", format="d")]
    f1_at_50: Annotated[float, Score("F1@50", "%", key="f1@50")]
    waits: Annotated[Waits, Score("wait")]
    exact: Annotated[Exact | None, Score("exact")]
    parts: Mapping[str, Waits]


FOUND = Everything(7, 2 / 3, Waits(math.nan), Exact(2 / 3), {"first": Waits(1.5)})


def test_json_has_sets_in_sets_and_null_for_what_is_not_there() -> None:
    assert FOUND.to_json() == {
        "count": 7,
        "f1@50": 0.6667,
        "waits": {"median": None},
        "exact": {"share": 2 / 3},
        "parts": {"first": {"median": 1.5}},
    }


def test_scores_are_found_by_key_and_name_the_set_they_are_in() -> None:
    titles = {key: score.title for key, score in described(Everything).items()}
    assert titles == {
        "count": "clips",
        "f1@50": "F1@50",
        "waits.median": "wait: median",
        "exact.share": "exact: share",
    }
    assert value_at(FOUND.to_json(), "exact.share") == 2 / 3
    assert value_at({"exact": None}, "exact.share") is None


def test_rows_show_values_in_their_unit() -> None:
    without = Everything(0, 1.0, Waits(0.125), None, {})
    assert score_rows(Everything, {"a": FOUND.to_json(), "b": without.to_json()}, leave_out=["count"]) == [
        ["%", "a", "b"],
        ["F1@50", "66.7", "100.0"],
        ["wait: median (s)", "-", "0.12"],
        ["exact: share", "66.7", "-"],
    ]


@pytest.mark.parametrize(("share", "text"), [(0.5, "50.0"), (None, "-"), (math.nan, "-"), (0.0, "0.0")])
def test_percent(share: float | None, text: str) -> None:
    assert percent(share) == text


def test_a_value_by_itself_has_its_unit() -> None:
    assert Score("rate", "1/s").text_with_unit(10.0) == "10.0 1/s"
    assert Score("clips", format="d").text_with_unit(3) == "3"
