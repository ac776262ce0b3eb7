"""What data say of pairs, where it is known which classes are each other played backwards."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pytest

from step_ros.scores.verdict import Gravity
from step_ros.training.linear_probe import WindowMeans, order_blind_logits
from step_ros.training.pairs_in_data import look_at_pairs
from step_ros.training.windows import Window

LABELS = ["open", "close", "pour", "wipe", "lift"]
DIM = 12


def clips(seed: int, count: int = 30) -> WindowMeans:
    """Open and close show the same in opposite order, wipe and pour in one; lift shows something else."""
    draw = np.random.default_rng(seed)
    shows = {"open": 0, "close": 0, "pour": 1, "wipe": 1, "lift": 2}
    goes = {"open": 1.0, "close": -1.0, "pour": 0.3, "wipe": 0.3, "lift": 0.0}
    labels = [label for label in LABELS for _ in range(count)]
    even, odd = draw.normal(size=(2, len(labels), DIM))
    for i, label in enumerate(labels):
        even[i, shows[label]] += 8.0
        odd[i, 3] += 4.0 * goes[label]
    return WindowMeans(
        [Window(f"{i}", "clip", 0, {"verb": label}) for i, label in enumerate(labels)], even, odd
    )


def sentences(pairs: Sequence[tuple[str, str]], count: int = 30) -> list[str]:
    train, test = clips(0), clips(1, count)
    logits = order_blind_logits("verb", LABELS, train, test)
    assert logits is not None
    recordings = [f"take {i % 10}" for i in range(len(test.windows))]
    found = look_at_pairs("verb", pairs, train, test, logits, LABELS, recordings)
    assert all(finding.gravity is Gravity.PAIRS for finding in found)
    return [finding.sentence for finding in found]


def test_a_pair_that_is_one_is_not_doubted() -> None:
    assert sentences([("open", "close")]) == []


def test_a_pair_that_stills_tell_apart_is_doubtful() -> None:
    (doubt,) = sentences([("open", "close"), ("pour", "lift")])
    assert doubt.startswith(
        "pour and lift are a pair, but a probe that is blind to order tells them apart in 100"
    )
    assert doubt.endswith("take the pair off the list.")


def test_a_pair_that_is_not_listed_is_offered_and_classes_that_are_merely_alike_are_not() -> None:
    (offer,) = sentences([])
    assert offer.startswith(
        "open and close are no pair, but the order of frames alone tells them apart, in 100 %"
    )
    assert offer.endswith("list them as a pair.")


@pytest.mark.parametrize("pairs", [[], [("pour", "lift")]])
def test_of_few_clips_nothing_is_said(pairs: list[tuple[str, str]]) -> None:
    assert sentences(pairs, count=9) == []
