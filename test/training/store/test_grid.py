"""Windows slide over grid stores, and carry the label of what goes on near their end."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np

from step_ros.backbones import Backbone
from step_ros.frames import ClipSpec, Frame
from step_ros.training.datasets import read_dataset
from step_ros.training.extract import ExtractOptions, extract
from step_ros.training.splits import split_clips
from step_ros.training.store import GridSampling, GridStore, StoredClip, TokenStore
from step_ros.training.store.grid import grid_frames
from step_ros.training.windows import Teaching


def clips_of(store: TokenStore, split: str) -> list[StoredClip]:
    return split_clips(store).of(split)


def test_a_window_is_labelled_by_what_goes_on_just_before_its_end(grid_store: GridStore) -> None:
    windows = grid_store.sliding_windows(clips_of(grid_store, "train"), lag_seconds=0.15)
    windows = [w for w in windows if w.file == "train_0"]
    assert len(windows) == 37
    # Frame 20 is the first of the second clip; 0.15 s before the end is two frames.
    assert [w.labels["direction"] for w in windows if w.first in (18, 19)] == ["right", "left"]


def test_windows_show_nothing_but_the_chosen_clips_and_no_unlabelled_time(grid_store: GridStore) -> None:
    first, second = (clip for clip in grid_store.clips if clip.file == "train_0")
    windows = grid_store.sliding_windows([first], lag_seconds=0.0)
    assert [w.first for w in windows] == list(range(17))  # frames 0 to 19 are the clip's
    grid_store.clips[grid_store.clips.index(second)] = shorter = replace(second, end=3.0)
    try:
        windows = grid_store.sliding_windows([first, shorter], lag_seconds=0.0)
        assert max(w.first for w in windows) + 3 == 30  # a step beyond 3 s
    finally:
        grid_store.clips[grid_store.clips.index(shorter)] = second


def test_a_window_played_backwards_is_labelled_as_its_partner(grid_store: GridStore) -> None:
    partner = Teaching(grid_store.tasks).partner
    windows = grid_store.sliding_windows(clips_of(grid_store, "train"), lag_seconds=0.0, partner=partner)
    first = [w for w in windows if w.file == "train_0" and w.first == 0]
    assert [(w.backwards, w.labels["direction"]) for w in first] == [(False, "right"), (True, "left")]


def test_of_a_grid_store_a_clips_window_lies_in_its_middle(grid_store: GridStore) -> None:
    windows = grid_store.clip_windows(clips_of(grid_store, "test"))
    assert [(w.file, w.first, w.labels["direction"]) for w in windows[:2]] == [
        ("test_4", 8, "right"),
        ("test_4", 28, "left"),
    ]


def test_a_clip_shorter_than_the_window_is_not_judged(
    clips_csv: Path, backbone: Backbone, tmp_path: Path
) -> None:
    for seconds, count in ((2.0, 4), (2.1, 0)):
        options = ExtractOptions(GridSampling(ClipSpec(4, seconds)))
        store = extract(read_dataset(clips_csv), backbone, options, tmp_path / str(seconds))
        clips = clips_of(store, "test")
        assert len(store.clip_windows(clips)) == count
        assert store.without_window(clips) == ([] if count else clips)


def test_older_frames_stand_in_where_a_grid_time_has_none() -> None:
    rgb = [np.full((2, 2, 3), i, np.uint8) for i in range(4)]
    frames = [Frame(stamp * 100_000_000, image) for stamp, image in zip((0, 1, 4, 5), rgb, strict=True)]
    assert [int(f.rgb[0, 0, 0]) for f in grid_frames(iter(frames), ClipSpec(4, 0.4))] == [0, 1, 1, 1, 2, 3]
