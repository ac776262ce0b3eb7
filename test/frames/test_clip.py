"""The time grid."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from step_ros.frames import ClipSpec


@given(st.integers(1, 64), st.floats(0.01, 60), st.integers(-(10**19), 10**19))
def test_a_stamp_belongs_to_the_first_grid_time_at_or_after_it(
    num_frames: int, window_seconds: float, stamp_ns: int
) -> None:
    clip = ClipSpec(num_frames, window_seconds)
    index = clip.grid_index(stamp_ns)
    assert clip.grid_time_ns(index - 1) < stamp_ns <= clip.grid_time_ns(index)


def test_a_window_is_its_steps() -> None:
    clip = ClipSpec(num_frames=16, window_seconds=2.0)
    assert clip.step_ns == 125_000_000
    assert clip.window_ns == 2_000_000_000
    assert ClipSpec(3, 1).window_ns == 999_999_999  # whole nanoseconds a step


@pytest.mark.parametrize(
    ("num_frames", "window_seconds", "found"),
    [
        (0, 1.0, "num_frames must be an integer of at least 1, got 0"),
        (2.0, 1.0, "got 2.0"),
        (True, 1.0, "got True"),
        (8, 0.0, "got 0.0"),
        (8, -1.0, "got -1.0"),
        (8, float("nan"), "got nan"),
        (8, float("inf"), "got inf"),
        (8, "2", "got '2'"),
        (8, 1e-9, "got 1e-09"),
    ],
)
def test_a_bad_clip_is_named(num_frames: Any, window_seconds: Any, found: str) -> None:
    with pytest.raises(ValueError) as error:
        ClipSpec(num_frames, window_seconds)
    assert found in str(error.value)
