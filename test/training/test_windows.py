"""Windows carry the label of what goes on near their end, and its partner's when they run backwards."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
import torch

from step_ros.backbones import Backbone
from step_ros.frames import ClipSpec
from step_ros.training.datasets import read_dataset
from step_ros.training.extract import ExtractOptions, extract
from step_ros.training.splits import split_clips
from step_ros.training.token_store import StoredClip, TokenStore
from step_ros.training.windows import (
    WindowTokens,
    balanced,
    clip_windows,
    partners,
    reversed_labels,
    sliding_windows,
)


def clips_of(store: TokenStore, split: str) -> list[StoredClip]:
    return split_clips(store).of(split)


def test_a_window_is_labelled_by_what_goes_on_just_before_its_end(grid_store: TokenStore) -> None:
    windows = sliding_windows(grid_store, clips_of(grid_store, "train"), lag_seconds=0.15)
    windows = [w for w in windows if w.video == "train_0"]
    assert len(windows) == 37
    # Frame 20 is the first of the second clip; 0.15 s before the end is two frames.
    assert [w.labels["direction"] for w in windows if w.first in (18, 19)] == ["right", "left"]


def test_windows_show_nothing_but_the_chosen_clips_and_no_unlabelled_time(grid_store: TokenStore) -> None:
    first, second = (clip for clip in grid_store.clips if clip.file == "train_0")
    windows = sliding_windows(grid_store, [first], lag_seconds=0.0)
    assert [w.first for w in windows] == list(range(17))  # frames 0 to 19 are the clip's
    grid_store.clips[grid_store.clips.index(second)] = shorter = replace(second, end=3.0)
    try:
        windows = sliding_windows(grid_store, [first, shorter], lag_seconds=0.0)
        assert max(w.first for w in windows) + 3 == 30  # a step beyond 3 s
    finally:
        grid_store.clips[grid_store.clips.index(shorter)] = second


def test_a_window_played_backwards_is_labelled_as_its_partner(grid_store: TokenStore) -> None:
    partner = partners({"direction": [("right", "left")]})
    windows = sliding_windows(grid_store, clips_of(grid_store, "train"), lag_seconds=0.0, partner=partner)
    first = [w for w in windows if w.video == "train_0" and w.first == 0]
    assert [(w.backwards, w.labels["direction"]) for w in first] == [(False, "right"), (True, "left")]
    tokens_of = WindowTokens(grid_store)
    assert torch.equal(tokens_of([first[0]]), tokens_of([first[1]]).flip(1))
    patches = torch.tensor([2, 0])
    assert torch.equal(tokens_of(first[:2], patches=patches), tokens_of(first[:2])[:, :, patches])


def test_labels_without_partner_stay() -> None:
    partner = partners({"verb": [("open", "close")]})
    assert reversed_labels({"verb": "open", "object": "box"}, partner) == {"verb": "close", "object": "box"}
    assert reversed_labels({"verb": "wave"}, partner) == {"verb": "wave"}


def test_of_a_grid_store_a_clips_window_lies_in_its_middle(grid_store: TokenStore) -> None:
    windows = clip_windows(grid_store, clips_of(grid_store, "test"))
    assert [(w.video, w.first, w.labels["direction"]) for w in windows[:2]] == [
        ("test_4", 8, "right"),
        ("test_4", 28, "left"),
    ]


def test_of_a_clip_store_a_clip_is_its_window(clip_store: TokenStore) -> None:
    windows = clip_windows(clip_store, clips_of(clip_store, "test"))
    assert [(w.video, w.tensor, w.first) for w in windows[:2]] == [
        ("test_4", "clip.0", 0),
        ("test_4", "clip.1", 0),
    ]
    tokens_of = WindowTokens(clip_store)
    assert torch.equal(tokens_of(windows[:1], [1])[0], clip_store.tokens("test_4", "clip.0", 1))


def test_a_clip_shorter_than_the_window_is_not_judged(
    clips_csv: Path, backbone: Backbone, tmp_path: Path
) -> None:
    for seconds, count in ((2.0, 4), (2.1, 0)):
        options = ExtractOptions(ClipSpec(4, seconds))
        store = extract(read_dataset(clips_csv), backbone, options, tmp_path / str(seconds))
        assert len(clip_windows(store, clips_of(store, "test"))) == count


def test_balanced_draws_rare_classes_more_often(grid_store: TokenStore) -> None:
    windows = sliding_windows(grid_store, clips_of(grid_store, "train"), lag_seconds=0.0)
    rare = [w for w in windows if w.labels["direction"] == "left"][:5]
    common = [w for w in windows if w.labels["direction"] == "right"]
    generator = torch.Generator().manual_seed(0)
    drawn = balanced(rare + common, "direction", generator, power=1.0)(2000)
    assert sum(w.labels["direction"] == "left" for w in drawn) == pytest.approx(1000, abs=120)
