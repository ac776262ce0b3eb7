"""What a verdict says of heads whose faults are known, and that it does not cry wolf."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import pytest
from scipy.stats import binomtest

from step_ros.scores.verdict import Gravity, Judged, evaluate, interval, wilson

LABELS = ("open", "close", "wipe")
PAIRS = (("open", "close"),)


def judged(right: float = 0.95, pairs_right: float = 1.0, count: int = 120, recordings: int = 6) -> Judged:
    """A head that is right of *wipe* and of pairs so often, and as confident as it is right on the whole."""
    targets = np.arange(count) % 3
    answers = targets.copy()
    order = np.arange(count)
    answers[(order % 20 >= right * 20) & (targets == 2)] = 0
    wrong_half = (order // 3 % 20 >= pairs_right * 20) & (targets < 2)
    answers[wrong_half] = 1 - targets[wrong_half]
    accuracy = float((answers == targets).mean())
    others = (1 - min(accuracy, 0.98)) / 2
    probabilities = np.where(np.eye(3)[answers] > 0, 1 - 2 * others, others)
    return Judged(np.log(probabilities), targets, LABELS, PAIRS, [f"take {i % recordings}" for i in order])


def sentences(judged: Judged, gravity: Gravity, order_blind: float | None = None) -> Sequence[str]:
    found = evaluate(judged, order_blind=order_blind)
    assert [f.gravity for f in found] == sorted((f.gravity for f in found), key=list(Gravity).index)
    return [finding.sentence for finding in found if finding.gravity is gravity]


def test_a_good_head_is_believed_and_nothing_is_held_against_it() -> None:
    assert sentences(judged(), Gravity.DOUBT, order_blind=0.5) == []
    overall, pairs = sentences(judged(), Gravity.BELIEF)
    assert overall.startswith("Of 3 classes it names the right one in 98 % (95 %: ")
    assert overall.endswith("n = 120), in 6 recordings.")
    assert pairs.startswith("It tells which way things go, in 100 % (95 %: 95 to 100, n = 80)")
    assert sentences(judged(), Gravity.UNJUDGED) == sentences(judged(), Gravity.NEXT) == []


def test_pairs_at_coin_level_are_not_believed() -> None:
    coin = judged(pairs_right=0.5)
    (doubt, blind) = sentences(coin, Gravity.DOUBT, order_blind=0.5)
    assert doubt.startswith("open and close are told apart in 50 % (95 %: ") and doubt.endswith(
        "n = 80): a coin may do as well."
    )
    assert "a probe that is blind to order in 50 %" in blind
    assert all("which way" not in sentence for sentence in sentences(coin, Gravity.BELIEF))


def test_one_class_for_everything() -> None:
    same = replace(judged(), logits=np.tile(np.log([0.98, 0.01, 0.01]), (120, 1)))
    doubts = sentences(same, Gravity.DOUBT)
    assert doubts[0] == "It says open of 100 % of the clips, whatever they show."
    assert "It calls most clips of these classes something else: close (40 of 40), wipe (40 of 40)." in doubts
    assert sentences(same, Gravity.BELIEF) == []


def test_a_leak_comes_first() -> None:
    first, *_ = sentences(replace(judged(pairs_right=0.5), seen=30), Gravity.DOUBT)
    assert first.startswith("30 of the 120 clips it is judged by it was trained on")


def test_confidence_that_is_off_and_classes_of_few_clips() -> None:
    sure = replace(judged(right=0.5), temperature=0.01)
    assert any("confidence is off by 17 points" in sentence for sentence in sentences(sure, Gravity.DOUBT))
    (few,) = sentences(judged(count=27), Gravity.DOUBT)
    assert few == "Fewer than 10 clips are too few to judge a class by: open (9), close (9), wipe (9)."


def test_what_no_clip_shows_and_what_to_label_next() -> None:
    more = judged(right=0.5)
    logits = np.c_[more.logits, np.full(120, -9.0)]
    more = replace(
        more, logits=logits, labels=(*LABELS, "pour"), trained={"open": 20, "close": 20, "wipe": 5}
    )
    assert sentences(more, Gravity.UNJUDGED) == ["No clip shows pour."]
    (best,) = sentences(more, Gravity.NEXT)
    assert best == (
        "wipe: 5 clips taught it, and of the 40 judged 20 are wrong; 10 more, of other recordings, would "
        "help most."
    )


def test_clips_of_one_recording_say_less_than_of_many() -> None:
    hits = np.repeat([True, True, True, False], 20)
    apart = interval(hits, list(range(80)))
    together = interval(hits, np.repeat(range(4), 20).tolist())
    assert apart.share == together.share == 0.75
    assert apart.low == pytest.approx(0.645, abs=0.01) and apart.high == pytest.approx(0.83, abs=0.01)
    assert together.low < 0.3 and together.high == 1.0
    assert interval(hits[:20], ["one"] * 20).low == pytest.approx(0.84, abs=0.01)


@pytest.mark.parametrize(("hits", "count"), [(0, 1), (1, 1), (3, 7), (50, 50), (0, 200), (117, 400)])
def test_the_interval_is_wilsons(hits: int, count: int) -> None:
    expected = binomtest(hits, count).proportion_ci(method="wilson")
    assert wilson(hits, count) == pytest.approx((expected.low, expected.high), abs=1e-6)
