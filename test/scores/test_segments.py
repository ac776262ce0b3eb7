"""Segmental scores, on labels that can be checked by eye."""

from __future__ import annotations

import pytest

from step_ros.scores.segments import edit_score, evaluate, f1_score, label_runs


def labels(text: str) -> list[str]:
    """One letter a frame; a dot is background."""
    return list(text)


def test_segments_are_runs_without_background() -> None:
    assert label_runs(labels("..aab."), ["."]) == [("a", range(2, 4)), ("b", range(4, 5))]


@pytest.mark.parametrize(
    ("said", "true", "score"),
    [
        ("aabb", "aabb", 1.0),
        ("abbb", "aaab", 1.0),  # when does not matter
        ("aaaa", "aabb", 0.5),
        ("abab", "aabb", 0.5),
        ("bbaa", "aabb", 0.0),
        ("....", "aabb", 0.0),
        ("....", "....", 1.0),
    ],
)
def test_edit_score_judges_the_order(said: str, true: str, score: float) -> None:
    assert edit_score(labels(said), labels(true), ["."]) == pytest.approx(score)


@pytest.mark.parametrize(
    ("said", "true", "overlap", "score"),
    [
        ("aaaabbbb", "aaaabbbb", 0.5, 1.0),
        ("aaaaaabb", "aaaabbbb", 0.5, 1.0),  # 4 of 6 and 2 of 4
        ("aaaaaaab", "aaaabbbb", 0.5, 0.5),  # 4 of 7, and 1 of 4
        ("aaaaaaab", "aaaabbbb", 0.25, 1.0),
        ("a.aabbbb", "aaaabbbb", 0.25, 0.8),  # over-segmented: one of the a's is false
        ("........", "aaaabbbb", 0.1, 0.0),
        ("........", "........", 0.1, 1.0),
    ],
)
def test_f1_judges_overlap_and_over_segmentation(said: str, true: str, overlap: float, score: float) -> None:
    assert f1_score(labels(said), labels(true), overlap, ["."]) == pytest.approx(score)


def test_all_scores_at_once() -> None:
    found = evaluate(labels("aaaaaaab"), labels("aaaabbbb"), ["."])
    assert list(found.to_json().items()) == [("f1@10", 1.0), ("f1@25", 1.0), ("f1@50", 0.5), ("edit", 1.0)]
    assert set(evaluate([], []).to_json().values()) == {None}


def test_lengths_must_agree() -> None:
    with pytest.raises(ValueError, match="got 1 and 2"):
        evaluate(["a"], ["a", "b"])
