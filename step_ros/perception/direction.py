"""Does a label rest on the order of the frames, or would it be the same played backwards?"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from step_ros.perception.perceiver import Perceiver
from step_ros.perception.prediction import UNKNOWN, Perception, Prediction
from step_ros.perception.rate_limit import is_due
from step_ros.probes import Head


@dataclass(frozen=True)
class Direction:
    """What the window read backwards says of a label that is one of a nearly symmetric pair."""

    task: str
    """The task."""
    label: str
    """The label of the window as it is."""
    partner: str
    """The other one of its pair: what the label looks like played backwards."""
    confidence: float
    """The probability of `partner` for the window played backwards."""
    confirmed: bool
    """Whether `partner` is the most probable label of the window played backwards."""

    @property
    def results(self) -> tuple[tuple[str, float], ...]:
        """What is published of it: the label, led by `UNKNOWN` where it was not confirmed."""
        said = ((self.label, self.confidence),)
        return said if self.confirmed else ((UNKNOWN, 1 - self.confidence), *said)


class DirectionCheck:
    """Reads windows backwards, not more often than is asked for.

    A label whose direction was truly seen turns to its partner when the frames come in reverse order. One
    that stays, or turns to something else, rests on looks, and its direction is a guess.
    """

    def __init__(self) -> None:
        self._last_ns: int | None = None

    def check(self, perception: Perception, perceiver: Perceiver, max_rate: float) -> list[Direction]:
        """Check the labels of a perception; to be called before the perceiver takes its next frame.

        Only tasks whose most probable label has a partner are read.

        Args:
            perception: the newest of `perceiver`.
            perceiver: whose window it is.
            max_rate: most checks a second of stamps; 0 checks nothing.
        """
        partners = {
            task: partner
            for task, prediction in perception.predictions.items()
            if (partner := partner_of(perceiver.heads, prediction))
        }
        if not partners or max_rate <= 0 or not is_due(perception.stamp_ns, self._last_ns, max_rate):
            return []
        self._last_ns = perception.stamp_ns
        directions = []
        for task, backwards in perceiver.read_backwards(partners).items():
            partner = partners[task]
            directions.append(
                Direction(
                    task,
                    label=perception.predictions[task].label,
                    partner=partner,
                    confidence=backwards.probability(partner),
                    confirmed=backwards.label == partner,
                )
            )
        return directions


def partner_of(heads: Mapping[str, Head], prediction: Prediction) -> str | None:
    """The label that the most probable one becomes when played backwards, if it has such a partner."""
    if prediction.task not in heads:
        return None
    for first, second in heads[prediction.task].config.symmetric_pairs:
        if prediction.label in (first, second):
            return second if prediction.label == first else first
    return None
