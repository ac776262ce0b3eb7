"""What windows teach, forwards and backwards, and what their labels become."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import pytest

from step_ros.training.datasets import TaskLabels
from step_ros.training.splits import split_clips
from step_ros.training.store import TokenStore, open_store
from step_ros.training.windows import Teaching, Window, reversed_labels, with_backwards, with_built_in

PARTNER = Teaching({"verb": TaskLabels(["open", "close"], [("open", "close")])}).partner


def test_labels_without_partner_stay() -> None:
    assert reversed_labels({"verb": "open", "object": "box"}, PARTNER) == {"verb": "close", "object": "box"}
    assert reversed_labels({"verb": "wave"}, PARTNER) == {"verb": "wave"}


def test_each_window_also_comes_backwards() -> None:
    window = Window("video", "clip.0", 0, {"verb": "open"})
    forwards, backwards = with_backwards([window], PARTNER)
    assert forwards == window
    assert backwards == Window("video", "clip.0", 0, {"verb": "close"}, backwards=True)


def teaching_of(store: TokenStore, tasks: Sequence[str]) -> Teaching:
    return Teaching({task: with_built_in(store.tasks)[task] for task in tasks})


def test_a_window_backwards_teaches_only_what_is_known_of_it(clip_store: TokenStore) -> None:
    store = open_store(clip_store.root)
    store.tasks["verb"] = replace(store.tasks["direction"], labels=["right", "left", "wave"])
    store.tasks["object"] = replace(store.tasks["direction"], labels=["cup"], symmetric_pairs=[])
    del store.tasks["direction"]
    split = split_clips(store)
    verbs = ("right", "wave", "left", "wave")
    split.train[:] = [
        replace(clip, labels={"verb": verb, **({"object": "cup"} if i else {})})
        for i, (clip, verb) in enumerate(zip(split.train, verbs, strict=True))
    ]
    store.clips = split.train
    windows = store.training_windows(split.train, teaching_of(store, ["verb"]))
    assert [(w.labels["verb"], w.backwards) for w in windows] == [
        *((verb, False) for verb in verbs),
        ("left", True),
        ("right", True),
    ]
    teaching = replace(teaching_of(store, ["verb", "direction"]), time_reversal=False)
    both = store.training_windows(split.train, teaching)
    for reversal, penalty, expected in (
        (True, 0.0, [1, 1, 1, 1, 1, 0, 1, 0]),
        (True, 0.3, [1, 1, 1, 1, 1, 0.3, 1, 0.3]),
        (False, 0.3, [1, 1, 1, 1, 0, 0, 0, 0]),
    ):
        teaching = replace(teaching, time_reversal=reversal, reversal_penalty=penalty)
        _, weights = teaching.targets("verb", both)
        assert weights.tolist() == pytest.approx(expected)
