"""The token window: what it shows as the grid moves on, with and without gaps."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

from step_ros.frames import ClipSpec
from step_ros.perception import TokenWindow

CLIP = ClipSpec(num_frames=4, window_seconds=0.4)


def tokens(index: int) -> Tensor:
    """Tokens (3, 2) that say which grid index they belong to."""
    return torch.full((3, 2), float(index))


def window_of(indices: list[int], max_held: int | None = None) -> TokenWindow:
    window = TokenWindow(CLIP, 3, 2, max_held=max_held)
    for index in indices:
        window.put(index, tokens(index))
    return window


def shown(window: TokenWindow) -> list[int] | None:
    """The grid index that each position shows."""
    stacked = window.tokens()
    if stacked is None:
        return None
    assert stacked.shape == (4, 3, 2)
    return [int(position[0, 0]) for position in stacked]


@pytest.mark.parametrize(
    ("indices", "expected", "held"),
    [
        ([], None, 0),
        ([7], None, 0),
        ([1, 2, 3], None, 0),
        ([1, 2, 3, 4], [1, 2, 3, 4], 0),
        ([1, 2, 3, 4, 5, 6], [3, 4, 5, 6], 0),
        ([-2, -1, 0, 1], [-2, -1, 0, 1], 0),
        ([1, 2, 4], [1, 2, 2, 4], 1),
        ([1, 4], [1, 1, 1, 4], 2),
        ([2, 3, 4], None, 0),
        ([1, 2, 3, 4, 6, 7, 8], [4, 6, 7, 8], 1),
        ([1, 2, 3, 4, 7, 8, 9], [4, 7, 8, 9], 1),
        ([1, 2, 3, 4, 8, 9, 10], None, 0),
        ([1, 2, 4, 6], [2, 4, 4, 6], 2),
    ],
    ids=[
        "empty",
        "one frame",
        "not yet full",
        "full",
        "slid on",
        "before stamp 0",
        "one gap is held",
        "two gaps are held",
        "nothing as old as the first position",
        "the first position shows what has left the window",
        "two steps old still shows",
        "three steps old is too old",
        "two single gaps",
    ],
)
def test_what_a_window_shows(indices: list[int], expected: list[int] | None, held: int) -> None:
    window = window_of(indices)
    assert shown(window) == expected
    assert window.held_positions() == held


@pytest.mark.parametrize(
    ("indices", "max_held", "whole"),
    [([1, 2, 4], 0, False), ([1, 2, 4], 1, True), ([1, 4], 1, False), ([1, 4], 3, True)],
)
def test_max_held_decides_which_gaps_are_bridged(indices: list[int], max_held: int, whole: bool) -> None:
    assert (window_of(indices, max_held).tokens() is not None) == whole


def test_a_long_run_keeps_no_more_than_a_window() -> None:
    window = window_of(list(range(100)))
    assert len(window._by_index) <= CLIP.num_frames + 1


def test_bounds_follow_the_newest_tokens() -> None:
    window = window_of([5, 6])
    assert (window.oldest_index, window.newest_index) == (3, 6)
    window.reset()
    assert (window.oldest_index, window.newest_index) == (None, None)
    assert window.tokens() is None
    window.put(1, tokens(1))  # after a reset the grid may go back


def test_the_grid_does_not_go_back() -> None:
    with pytest.raises(ValueError, match="grid index 5 is not after 5; reset the window"):
        window_of([5, 5])


def test_tokens_of_another_shape_are_refused() -> None:
    with pytest.raises(ValueError, match=r"\(P, D\) = \(3, 2\), got \(2, 2\)"):
        TokenWindow(CLIP, 3, 2).put(0, torch.zeros(2, 2))


@pytest.mark.parametrize("max_held", [-1, 4])
def test_max_held_out_of_range_is_refused(max_held: int) -> None:
    with pytest.raises(ValueError, match=f"from 0 to T - 1 = 3, got {max_held}"):
        TokenWindow(CLIP, 3, 2, max_held=max_held)


def test_a_window_of_one_frame() -> None:
    window = TokenWindow(ClipSpec(num_frames=1, window_seconds=0.1), 3, 2)
    window.put(3, tokens(3))
    stacked = window.tokens()
    assert stacked is not None and stacked.shape == (1, 3, 2)
