"""Pairs proposed from class names: those of the published data sets, and none that is a guess."""

from __future__ import annotations

import random

import pytest

from step_ros.training.datasets import drive_and_act, hri30, ikea_asm, propose_pairs, symmetric_pairs
from step_ros.training.datasets.symmetric_pairs import opposites


def unordered(pairs: list[tuple[str, str]]) -> set[frozenset[str]]:
    return {frozenset(pair) for pair in pairs}


@pytest.mark.parametrize(
    ("classes", "pairs", "symmetric", "others"),
    [
        (hri30.CLASSES, hri30.SYMMETRIC_PAIRS, 20, 10),
        (tuple(ikea_asm.CLASSES), ikea_asm.SYMMETRIC_PAIRS, 14, 19),
        (drive_and_act.CLASSES, drive_and_act.SYMMETRIC_PAIRS, 20, 14),
    ],
    ids=["HRI-30", "IKEA-ASM", "Drive&Act"],
)
def test_published_splits_come_out_of_the_names(
    classes: tuple[str, ...], pairs: list[tuple[str, str]], symmetric: int, others: int
) -> None:
    assert unordered(propose_pairs(classes)) == unordered(pairs)
    paired = {label for pair in pairs for label in pair}
    assert paired <= set(classes)
    assert (len(paired), len(set(classes) - paired)) == (symmetric, others)


@pytest.mark.parametrize(
    ("labels", "expected"),
    [
        (["take_from_drawer", "put_into_drawer", "wave"], [("take_from_drawer", "put_into_drawer")]),
        (["knock_over", "place_upright", "pick", "move_near"], [("knock_over", "place_upright")]),
        (["screw in bulb", "unscrew bulb"], [("screw in bulb", "unscrew bulb")]),
        (
            ["move it closer to me", "move it away from me"],
            [("move it closer to me", "move it away from me")],
        ),
        (["pull it out of the box", "push it onto the box"], []),
        (["cover pot", "unfold pot"], []),
        (["load box", "unlock box"], []),
        (["fold", "unfold", "cover", "uncover"], [("fold", "unfold"), ("cover", "uncover")]),
        (["hang", "unhang"], [("hang", "unhang")]),
        (["left to right", "right to left"], [("left to right", "right to left")]),
        (["open box", "close lid"], []),
        (["open", "close", "shut"], []),
        (["put", "pick", "take"], []),
        (["cup", "drawer"], []),
        (["move cup from table to shelf", "move cup from shelf to table"],
         [("move cup from table to shelf", "move cup from shelf to table")]),
        (["push it from left to right", "push it from right to left", "pull it from right to left"],
         [("push it from left to right", "pull it from right to left")]),
        (["Turning Hand Clockwise", "Turning Hand Counterclockwise", "Thumb Up", "Thumb Down"],
         [("Turning Hand Clockwise", "Turning Hand Counterclockwise")]),
        (["move_left", "move_right"], [("move_left", "move_right")]),
        (["open left drawer", "open right drawer", "close left drawer"],
         [("open left drawer", "close left drawer")]),
        (["turn_on_left", "turn_off_right"], []),
        (["move left arm", "move right arm", "move left of cup", "move right of cup"], []),
        (["left", "right", "on", "off", "light on", "light off"], []),
        (["pouring tea into cup", "pouring tea out of cup"], []),
        (["pretend to open it", "pretend to close it", "drop cup", "pick up cup"], []),
        (["pick up cup and put down plate", "put down cup and pick up plate"], []),
        (["open cover", "close cover", "open the door", "close door"],
         [("open cover", "close cover"), ("open the door", "close door")]),
        (["move away from box to shelf", "move closer from cup to bowl"], []),
        (["from", "to", "from to", "to left", "left to"], []),
        ([], []),
    ],
)  # fmt: skip
def test_proposals(labels: list[str], expected: list[tuple[str, str]]) -> None:
    assert propose_pairs(labels) == expected


def test_no_word_of_a_label_is_lost() -> None:
    words = "open put on off take from to left right move push away box and pick up into out of".split()
    draw = random.Random(0)
    for _ in range(5000):
        label = " ".join(draw.choices(words, k=draw.randrange(9)))
        assert " ".join(part.said for part in symmetric_pairs._parts(label)) == label


def test_why_a_pair_was_proposed() -> None:
    assert opposites("take_from_drawer", "put_into_drawer") == [("take", "put"), ("from", "into")]
    assert opposites("go from x to y", "go from y to x") == [("from x to y", "from y to x")]


def test_many_labels_take_no_longer_each() -> None:
    labels = [f"{verb} thing {index}" for index in range(50_000) for verb in ("open", "close")]
    assert len(propose_pairs(labels)) == 50_000


def test_what_is_read_of_a_label_does_not_grow_with_their_number(monkeypatch: pytest.MonkeyPatch) -> None:
    read = []
    parts = symmetric_pairs._parts
    monkeypatch.setattr(symmetric_pairs, "_parts", lambda label: (read.append(label), parts(label))[1])
    labels = [f"{verb} it" for verb in ("open", "close")] + [f"wave {index}" for index in range(999)]
    assert propose_pairs(labels) == [("open it", "close it")]
    assert len(read) == len(labels)
