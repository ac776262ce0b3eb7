"""Are classes that are called each other played backwards so in the data, and are others?

What two such classes show is the same, and its order the opposite: a probe that is blind to order mistakes
one for the other, and a probe that sees nothing but the order tells them apart.
"""

from __future__ import annotations

from collections.abc import Hashable, Sequence

import numpy as np

from step_ros.scores.clips import partner_indices
from step_ros.scores.probabilities import Bools, Floats
from step_ros.scores.verdict import FEW, Finding, Gravity, Interval, interval, told_apart
from step_ros.training.linear_probe import WindowMeans

_APART = 0.75
"""A share of clips beyond which two classes are told apart for good: a coin has a half."""
_RIDGE = 0.1
"""What is added to the squared lengths of clips, as a share of their mean."""

Pair = tuple[str, str]


def look_at_pairs(
    task: str,
    pairs: Sequence[Pair],
    train: WindowMeans,
    test: WindowMeans,
    order_blind: Floats,
    labels: Sequence[str],
    recordings: Sequence[Hashable],
) -> list[Finding]:
    """What the data say of pairs, and of two classes that are no pair but look like one.

    Classes of fewer than `FEW` clips are not looked at.

    Args:
        task: whose classes.
        pairs: those that are said to be each other played backwards.
        train: clips to learn from.
        test: the N clips to judge by, each with one of the labels.
        order_blind: what `order_blind_logits` says of these, (N, K).
        labels: the K labels.
        recordings: where each of the N clips is from.
    """
    targets = np.array([labels.index(window.labels[task]) for window in test.windows])
    enough = {label for i, label in enumerate(labels) if (targets == i).sum() >= FEW}

    def share(pair: Pair, right: Bools) -> Interval:
        of = np.isin(targets, [labels.index(label) for label in pair])
        return interval(right[of], [where for where, taken in zip(recordings, of, strict=True) if taken])

    def by_stills(pair: Pair) -> Interval:
        return share(pair, told_apart(order_blind, targets, partner_indices(labels, [pair])))

    sentences = []
    for first, second in (pair for pair in pairs if enough.issuperset(pair)):
        found = by_stills((first, second))
        if found.low > _APART:
            sentences.append(
                f"{first} and {second} are a pair, but a probe that is blind to order tells them apart in "
                f"{found}: if one does not look like the other played backwards, take the pair off the list."
            )
    paired = {label for pair in pairs for label in pair}
    for pair in _taken_for_each_other(order_blind, targets, labels, enough - paired):
        stills, order = by_stills(pair), share(pair, _told_by_order(task, pair, train, test))
        if stills.low <= 0.5 and stills.high < _APART and order.low > 0.5:
            sentences.append(
                f"{pair[0]} and {pair[1]} are no pair, but the order of frames alone tells them apart, in "
                f"{order}, and a probe that is blind to it does not, in {stills}: if each is the other "
                "played backwards, list them as a pair."
            )
    return [Finding(Gravity.PAIRS, sentence) for sentence in sentences]


def _taken_for_each_other(
    logits: Floats, targets: np.ndarray, labels: Sequence[str], among: set[str]
) -> list[Pair]:
    """Of the classes `among` those two and two that are likeliest after, or before, each other."""
    others = [i for i, label in enumerate(labels) if label in among]
    likeliest = {}
    for i in others if len(others) > 1 else ():
        rivals = [j for j in others if j != i]
        likeliest[i] = rivals[int(logits[targets == i][:, rivals].mean(0).argmax())]
    return [(labels[i], labels[j]) for i, j in likeliest.items() if i < j and likeliest[j] == i]


def _told_by_order(task: str, pair: Pair, train: WindowMeans, test: WindowMeans) -> Bools:
    """Whether a ridge regression on nothing but the order of frames is right of each clip (N,).

    It has no constant term, so what it says of a clip it says the opposite of when that runs backwards.
    """
    taught = train.labelled(task, pair)
    sides = np.array([1.0 if window.labels[task] == pair[0] else -1.0 for window in taught.windows])
    if len(set(sides.tolist())) < 2:
        return np.zeros(len(test.windows), bool)
    products = taught.odd @ taught.odd.T
    ridge = _RIDGE * np.trace(products) / len(sides) + np.finfo(np.float32).tiny
    weights = taught.odd.T @ np.linalg.solve(products + ridge * np.eye(len(sides)), sides)
    truly = np.array([1.0 if window.labels[task] == pair[0] else -1.0 for window in test.windows])
    right: Bools = truly * (test.odd @ weights) > 0
    return right
