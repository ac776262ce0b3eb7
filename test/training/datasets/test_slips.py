"""Labels that are one label written in two ways, and labels that only look like it."""

from __future__ import annotations

import pytest

from step_ros.training.datasets.slips import same_but_for_case, slips


def test_case_blanks_and_hyphens_make_no_other_label() -> None:
    labels = ["open", "Open", "pick up", "pick_up", "pickup", "Pick-Up", "shut"]
    assert same_but_for_case(labels) == [["open", "Open"], ["pick up", "pick_up", "pickup", "Pick-Up"]]


@pytest.mark.parametrize(
    ("counts", "meant", "written"),
    [
        pytest.param({"open": 5, "opne": 2}, "open", "opne", id="swapped"),
        pytest.param({"open": 1, "opne": 1}, "open", "opne", id="swapped, of few clips"),
        pytest.param({"opened": 9, "opned": 1}, "opened", "opned", id="missing"),
        pytest.param({"get botttle": 1, "get bottle": 9}, "get bottle", "get botttle", id="twice"),
        pytest.param({"open_drawer": 9, "open_drawet": 1}, "open_drawer", "open_drawet", id="wrong"),
        pytest.param({"öffnen": 20, "öffen": 1}, "öffnen", "öffen", id="another language"),
        pytest.param(
            {"lift box": 50, "lift bag": 50, "take bag": 9, "lift bag2": 9, "lift boxes": 5, "litf box": 1},
            "lift box", "litf box", id="a word in a label",
        ),
    ],
)  # fmt: skip
def test_slips_of_the_pen(counts: dict[str, int], meant: str, written: str) -> None:
    assert slips(counts) == [(meant, written)]


@pytest.mark.parametrize(
    "counts",
    [
        pytest.param({"left": 9, "right": 1, "open": 9, "close": 1}, id="opposites"),
        pytest.param({"enter": 9, "exit": 1, "lock": 9, "unlock": 1, "tighten": 9, "lighten": 1}, id="un-"),
        pytest.param({"put_in": 50, "put_on": 3, "pick": 50, "kick": 1}, id="short words"),
        pytest.param({"walking": 50, "talking": 2}, id="another first letter"),
        pytest.param({"drawer1": 50, "drawer2": 1, "can 7": 50, "can 8": 1}, id="numbers"),
        pytest.param({"bottle": 50, "bottles": 3}, id="a plural"),
        pytest.param({"opened": 9, "opener": 5}, id="both are frequent"),
        pytest.param({"coming from it": 9, "coming form it": 9}, id="swapped, and both are frequent"),
        pytest.param(
            {"lifting it": 9, "listing it": 1, "listing wood": 20}, id="a word that others have too"
        ),
        pytest.param({"": 9, "a": 1, "  ": 3}, id="nothing"),
    ],
)
def test_other_labels(counts: dict[str, int]) -> None:
    assert slips(counts) == []


def test_many_labels_are_not_compared_each_with_each() -> None:
    verbs = [first + second for first in "abcdefgh" for second in "ijklmnop"]
    counts = {
        f"{verb}ing the {thing}thing number {i}": 9 for verb in verbs for thing in verbs for i in range(5)
    }
    counts["adjust teh thing"], counts["adjust the thing"] = 1, 9
    counts["adjust the thign"] = 1
    assert slips(counts) == [("adjust the thing", "adjust the thign")]
    numbering = {f"动作名字{chr(0x4E00 + i)}": 9 for i in range(20_000)}
    assert slips(numbering) == []
