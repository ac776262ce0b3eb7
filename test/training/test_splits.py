"""Splits: the data set's own, groups held out, or all of it."""

from __future__ import annotations

from dataclasses import replace

import pytest

from step_ros.training.splits import SplitError, split_clips, untrained_classes, with_few_examples
from step_ros.training.store import TokenStore, open_store


@pytest.fixture
def scenes(clip_store: TokenStore) -> TokenStore:
    """The same clips without splits, in three scenes of two videos."""
    store = open_store(clip_store.root)
    store.clips = [
        replace(c, split="", group=f"scene{int(c.file[-1]) // 2}", labels={**c.labels, "place": c.file})
        for c in store.clips
    ]
    return store


def test_the_data_sets_own_split(clip_store: TokenStore) -> None:
    split = split_clips(clip_store)
    for name in ("train", "validation", "test"):
        assert {clip.split for clip in split.of(name)} == {name}
        assert len(split.of(name)) == 4


def test_a_group_or_a_columns_value_is_held_out(scenes: TokenStore) -> None:
    split = split_clips(scenes, hold_out=["scene2"])
    assert {clip.group for clip in split.test} == {"scene2"}
    assert {clip.group for clip in split.train} == {"scene0", "scene1"}
    assert {clip.file for clip in split_clips(scenes, hold_out=["test_4"]).test} == {"test_4"}
    with pytest.raises(SplitError, match="called scene9; groups are scene0, scene1, scene2"):
        split_clips(scenes, hold_out=["scene9"])
    with pytest.raises(SplitError, match="no clips are left to train on"):
        split_clips(scenes, hold_out=["scene0", "scene1", "scene2"])


def test_without_splits_all_clips_train_and_all_are_judged(scenes: TokenStore) -> None:
    split = split_clips(scenes)
    assert split.train == split.test == scenes.clips and split.validation == []


def test_a_share_for_validation_is_of_whole_groups_or_of_every_class(scenes: TokenStore) -> None:
    split = split_clips(scenes, validation_share=0.34)
    (group,) = {clip.group for clip in split.validation}
    assert group not in {clip.group for clip in split.train}
    scenes.clips = [replace(clip, group="") for clip in scenes.clips]
    split = split_clips(scenes, validation_share=0.34)
    assert sorted(clip.labels["direction"] for clip in split.validation) == ["left"] * 2 + ["right"] * 2
    assert split_clips(scenes, validation_share=0.34) == split


def test_an_empty_split_names_those_there_are(scenes: TokenStore) -> None:
    with pytest.raises(SplitError, match=r"no clips of split 'validation'; it has train \(12\), test \(12\)"):
        split_clips(scenes).of("validation")


def test_classes_that_training_lacks_are_found(scenes: TokenStore) -> None:
    scenes.clips = [
        replace(clip, labels={"direction": "up"}) if clip.group == "scene2" else clip for clip in scenes.clips
    ]
    assert untrained_classes(split_clips(scenes, hold_out=["scene2"]), "direction") == {"test": ["up"]}


def test_few_examples_are_drawn_of_every_class(scenes: TokenStore) -> None:
    split = split_clips(scenes, hold_out=["scene2"])
    few = with_few_examples(split, "direction", 2, seed=0)
    assert sorted(clip.labels["direction"] for clip in few.train) == ["left"] * 2 + ["right"] * 2
    assert few.test == split.test and few == with_few_examples(split, "direction", 2, seed=0)
    assert few != with_few_examples(split, "direction", 2, seed=1)
    assert len(with_few_examples(split, "direction", 99, seed=0).train) == len(split.train)
