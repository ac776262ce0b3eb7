"""What cannot be judged is named, by the kind of store that it was looked for in."""

from __future__ import annotations

from dataclasses import replace

import pytest
from rich.console import Console

from step_ros.probes import Head
from step_ros.training.fit_options import FitOptions
from step_ros.training.heads import new_heads
from step_ros.training.judge import JudgeError, judge
from step_ros.training.lesson import prepare_lesson
from step_ros.training.store import TokenStore
from step_ros.training.window_tokens import WindowTokens


def untrained(store: TokenStore) -> Head:
    lesson = prepare_lesson(store, ["direction"], FitOptions(), Console(quiet=True))
    return new_heads(lesson, store.backbone, WindowTokens(store), FitOptions())["direction"]


def test_a_store_with_no_such_clips_says_which_it_looked_for(
    clip_store: TokenStore, grid_store: TokenStore
) -> None:
    with pytest.raises(JudgeError, match="has no clips with labels of 'direction' to judge"):
        judge(untrained(clip_store), clip_store, [])
    with pytest.raises(JudgeError, match=r"has no clips as long as a window \(0.4 s\) with labels of"):
        judge(untrained(grid_store), grid_store, [])


def test_clips_that_a_head_is_not_judged_by_are_named(clip_store: TokenStore) -> None:
    first, *others = clip_store.clips
    clips = [replace(first, labels={"direction": "up"}), *others]
    found = judge(untrained(clip_store), clip_store, clips)
    assert (found.unknown, found.too_short) == ([first.name], [])
    assert found.metrics.clips == len(others)
    assert found.to_json()["left_out"] == {"too_short": [], "unknown": [first.name]}


def test_a_head_of_another_number_of_frames_is_refused(
    clip_store: TokenStore, grid_store: TokenStore
) -> None:
    with pytest.raises(JudgeError, match="sees 8 frames, but clips of .* have 4; extract with --frames 8"):
        judge(untrained(clip_store), grid_store, grid_store.clips)
