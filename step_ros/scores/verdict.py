"""How far to trust a head, in sentences: what not to believe, what to believe, what to label next.

Conventions: logits are (N, K) of N clips; targets are (N,) indices of the true labels; `recordings` says of
each clip where it is from. Intervals are of 95 %: the wider of Wilson's, as if clips had nothing to do with
each other, and of a bootstrap over recordings, whose clips have much in common.
"""

from __future__ import annotations

import math
from collections.abc import Hashable, Mapping, Sequence
from dataclasses import dataclass
from enum import Enum

import numpy as np
from numpy.typing import NDArray

from step_ros.scores.clips import partner_indices
from step_ros.scores.probabilities import Bools, Floats, Ints, calibration_error, softmax

FEW = 10
"""Clips of a class below which its figures are guesses."""

_ONE_FOR_ALL = 0.8
"""A label that is named so often, where it is true half as often, is named whatever is shown."""
_MISCALIBRATED = 0.1
"""Confidence that is off by so much says little."""


class Gravity(Enum):
    """What kind of thing a finding is; the gravest come first."""

    DOUBT = "not to be believed"
    BELIEF = "to be believed"
    UNJUDGED = "not judged"
    PAIRS = "pairs to look at"
    NEXT = "to label next"


@dataclass(frozen=True)
class Finding:
    """A sentence about a head."""

    gravity: Gravity
    sentence: str

    def to_json(self) -> dict[str, str]:
        """Both as text."""
        return {"gravity": self.gravity.value, "sentence": self.sentence}


@dataclass(frozen=True)
class Judged:
    """A head's answers to clips, and what else there is to know of them."""

    logits: Floats
    """(N, K)."""
    targets: Ints
    """(N,)."""
    labels: Sequence[str]
    """The K labels."""
    pairs: Sequence[tuple[str, str]]
    """Nearly symmetric pairs of labels."""
    recordings: Sequence[Hashable]
    """Of each clip."""
    temperature: float = 1.0
    """Of the head, for its confidence."""
    trained: Mapping[str, int] | None = None
    """How many clips of each label it was trained on, where that is known."""
    seen: int = 0
    """How many of the judged clips are among them."""


@dataclass(frozen=True)
class Interval:
    """A share, and where it lies with 95 % confidence."""

    share: float
    low: float
    high: float
    count: int
    """Of what it is a share."""

    def __str__(self) -> str:
        low, share, high = (f"{100 * each:.0f}" for each in (self.low, self.share, self.high))
        return f"{share} % (95 %: {low} to {high}, n = {self.count})"


def interval(hits: Bools, recordings: Sequence[Hashable]) -> Interval:
    """The interval of a share of clips (N,), of which there is at least one."""
    low, high = wilson(int(hits.sum()), len(hits))
    index = {recording: i for i, recording in enumerate(dict.fromkeys(recordings))}
    of = np.array([index[recording] for recording in recordings])
    if len(index) > 1:
        right, count = np.bincount(of, hits), np.bincount(of)
        drawn = np.random.default_rng(0).multinomial(len(index), np.full(len(index), 1 / len(index)), 2000)
        ends = np.quantile((drawn @ right) / (drawn @ count), [0.025, 0.975])
        low, high = min(low, float(ends[0])), max(high, float(ends[1]))
    return Interval(float(hits.mean()), low, high, len(hits))


def wilson(hits: int, count: int) -> tuple[float, float]:
    """The ends of Wilson's 95 % interval (JASA 1927) of a share of independent trials."""
    z = 1.959964  # 97.5 % of a normal distribution lie below
    middle = (hits + z**2 / 2) / (count + z**2)
    reach = z / (count + z**2) * math.sqrt(hits * (count - hits) / count + z**2 / 4)
    return max(middle - reach, 0.0), min(middle + reach, 1.0)


def told_apart(logits: Floats, targets: Ints, partner: NDArray[np.int64]) -> Bools:
    """Of each clip (N,) whether its class is likelier than its partner; False where it has none."""
    rows = np.arange(len(targets))
    apart: Bools = (partner[targets] >= 0) & (logits[rows, targets] > logits[rows, partner[targets]])
    return apart


def evaluate(judged: Judged, *, order_blind: float | None = None) -> list[Finding]:
    """What there is to say of a head, the gravest first.

    Args:
        judged: its answers.
        order_blind: of the same clips the share of pairs that a probe tells apart which does not know the
            order of frames.
    """
    return [
        *(Finding(Gravity.DOUBT, sentence) for sentence in _doubts(judged, order_blind)),
        *(Finding(Gravity.BELIEF, sentence) for sentence in _beliefs(judged)),
        *(Finding(Gravity.UNJUDGED, sentence) for sentence in _unjudged(judged)),
        *(Finding(Gravity.NEXT, sentence) for sentence in _next(judged)),
    ]


def _doubts(judged: Judged, order_blind: float | None) -> list[str]:
    logits, targets, labels = judged.logits, judged.targets, judged.labels
    doubts = []
    if judged.seen:
        doubts.append(
            f"{judged.seen} of the {len(targets)} clips it is judged by it was trained on: nothing here "
            "tells how it does on new recordings."
        )
    answers = logits.argmax(axis=1)
    favourite = int(np.bincount(answers).argmax())
    said, true = float((answers == favourite).mean()), float((targets == favourite).mean())
    if len(set(targets.tolist())) > 1 and said >= _ONE_FOR_ALL and true <= said / 2:
        doubts.append(f"It says {labels[favourite]} of {100 * said:.0f} % of the clips, whatever they show.")
    doubts += _coin(judged, order_blind)
    right = answers == targets
    error = calibration_error(softmax(logits, judged.temperature).max(axis=1), right)
    if error > _MISCALIBRATED:
        doubts.append(f"Its confidence is off by {100 * error:.0f} points on average: no threshold holds.")
    wrong = {label: int((~right[targets == label]).sum()) for label in np.unique(targets).tolist()}
    mostly = {label: count for label, count in wrong.items() if 2 * count > int((targets == label).sum())}
    if mostly:
        named = ", ".join(f"{labels[k]} ({n} of {(targets == k).sum()})" for k, n in mostly.items())
        doubts.append(f"It calls most clips of these classes something else: {named}.")
    few = {labels[label]: int((targets == label).sum()) for label in np.unique(targets)}
    few = {label: count for label, count in few.items() if count < FEW}
    if few:
        named = ", ".join(f"{label} ({count})" for label, count in few.items())
        doubts.append(f"Fewer than {FEW} clips are too few to judge a class by: {named}.")
    return doubts


def _coin(judged: Judged, order_blind: float | None) -> list[str]:
    """Pairs that a coin, or a probe that does not know the order of frames, tells apart as well."""
    logits, targets, labels = judged.logits, judged.targets, judged.labels
    partner = partner_indices(labels, judged.pairs)
    apart = told_apart(logits, targets, partner)
    doubts = []
    for first, second in judged.pairs:
        of = np.isin(targets, [labels.index(first), labels.index(second)])
        if of.any():
            found = interval(apart[of], _those(judged.recordings, of))
            if found.low <= 0.5:
                doubts.append(f"{first} and {second} are told apart in {found}: a coin may do as well.")
    symmetric = partner[targets] >= 0
    if order_blind is not None and symmetric.any():
        found = interval(apart[symmetric], _those(judged.recordings, symmetric))
        if found.low <= order_blind:
            doubts.append(
                f"It tells pairs apart in {found}, a probe that is blind to order in "
                f"{100 * order_blind:.0f} %: it need not know which way things go."
            )
    return doubts


def _beliefs(judged: Judged) -> list[str]:
    targets = judged.targets
    right = judged.logits.argmax(axis=1) == targets
    partner = partner_indices(judged.labels, judged.pairs)
    symmetric = partner[targets] >= 0
    recordings = len(set(judged.recordings))
    where = f"in {recordings} recordings" if recordings > 1 else "in one recording"
    chance = float(np.bincount(targets).max() / len(targets))
    beliefs = []
    overall = interval(right, judged.recordings)
    if overall.low > chance:
        classes = len(set(targets.tolist()))
        beliefs.append(f"Of {classes} classes it names the right one in {overall}, {where}.")
    if symmetric.any():
        found = interval(
            told_apart(judged.logits, targets, partner)[symmetric], _those(judged.recordings, symmetric)
        )
        if found.low > 0.5:
            beliefs.append(f"It tells which way things go, in {found} of the clips of pairs.")
    return beliefs


def _unjudged(judged: Judged) -> list[str]:
    missing = [label for i, label in enumerate(judged.labels) if not (judged.targets == i).any()]
    return [f"No clip shows {', '.join(missing)}."] if missing else []


def _next(judged: Judged) -> list[str]:
    """The class that further examples would help most: of those it gets wrong, the one it knows least of."""
    if judged.trained is None:
        return []
    right = judged.logits.argmax(axis=1) == judged.targets
    classes = [i for i in np.unique(judged.targets).tolist() if not right[judged.targets == i].all()]
    if not classes:
        return []
    errors = {i: int((~right[judged.targets == i]).sum()) for i in classes}
    known = {i: judged.trained.get(judged.labels[i], 0) for i in classes}
    worst = max(classes, key=lambda i: (errors[i] / (1 + known[i]), -known[i]))
    label, count = judged.labels[worst], int((judged.targets == worst).sum())
    more = max(FEW, known[worst])
    return [
        f"{label}: {known[worst]} clips taught it, and of the {count} judged {errors[worst]} are wrong; "
        f"{more} more, of other recordings, would help most."
    ]


def _those(recordings: Sequence[Hashable], chosen: Bools) -> list[Hashable]:
    return [recording for recording, taken in zip(recordings, chosen, strict=True) if taken]
