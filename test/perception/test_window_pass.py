"""The window that live perception, replays and second looks share."""

from __future__ import annotations

from collections.abc import Callable, Iterable

import pytest
import torch

from step_ros.frames import ClipSpec, Frame, GridSampler
from step_ros.perception import WindowPass

CLIP = ClipSpec(num_frames=4, window_seconds=0.4)
STEP_NS = CLIP.step_ns


@pytest.fixture
def window() -> WindowPass:
    return WindowPass(CLIP, 2, 3)


@pytest.fixture
def film(window: WindowPass, frame_at: Callable[[int], Frame]) -> Callable[[Iterable[int]], list[int]]:
    """Lets frames on these places of the grid pass, which are their tokens; returns where it began anew."""
    sampler = GridSampler(CLIP)

    def let_pass(places: Iterable[int]) -> list[int]:
        anew = []
        for place in places:
            sampled = sampler.push(frame_at(place * STEP_NS))
            assert sampled is not None
            if window.restart_if_jumped(sampled):
                anew.append(place)
            window.put(sampled, torch.full((2, 3), float(place)))
        return anew

    return let_pass


def places(window: WindowPass) -> list[int] | None:
    """Whose tokens each position shows."""
    tokens = window.tokens.tokens()
    return None if tokens is None else tokens[:, 0, 0].int().tolist()


def test_it_slides_over_the_frames(window: WindowPass, film: Callable[[Iterable[int]], list[int]]) -> None:
    assert window.start_ns is None and window.newest_stamp_ns == 0
    assert film(range(10, 13)) == [10] and places(window) is None
    assert film(range(13, 16)) == [] and places(window) == [12, 13, 14, 15]
    assert (window.start_ns, window.newest_stamp_ns) == (12 * STEP_NS, 15 * STEP_NS)


@pytest.mark.parametrize("to", [3, 900], ids=["a bag that loops", "a camera that was away"])
def test_a_jump_of_stamps_empties_it(
    window: WindowPass, film: Callable[[Iterable[int]], list[int]], to: int
) -> None:
    film(range(500, 506))
    assert film(range(to, to + 3)) == [to] and places(window) is None
    assert film([to + 3]) == [] and places(window) == list(range(to, to + 4))


def test_a_pause_is_held_as_far_as_is_allowed(
    window: WindowPass, film: Callable[[Iterable[int]], list[int]]
) -> None:
    assert film([1, 2, 3, 5]) == [1] and places(window) == [2, 3, 3, 5]
    window.max_held = 0
    assert places(window) is None
    window.max_held = None
    assert window.max_held == 2 and places(window) == [2, 3, 3, 5]


def test_an_emptied_one_may_hold_as_much(window: WindowPass) -> None:
    longer = ClipSpec(num_frames=8, window_seconds=0.8)
    assert window.emptied(longer).max_held == 4, "half, of whatever length"
    window.max_held = 1
    assert window.emptied().max_held == window.emptied(longer).max_held == 1
    assert window.emptied(longer).clip == longer


@pytest.mark.parametrize("max_held", [-1, 4])
def test_no_more_may_be_held_than_there_is(window: WindowPass, max_held: int) -> None:
    with pytest.raises(ValueError, match=f"max_held must be from 0 to T - 1 = 3, got {max_held}"):
        window.max_held = max_held
    with pytest.raises(ValueError, match=f"max_held must be from 0 to T - 1 = 3, got {max_held}"):
        WindowPass(CLIP, 2, 3, max_held=max_held)
