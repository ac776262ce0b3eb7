"""The window as thumbnails, whoever comes when."""

from __future__ import annotations

import numpy as np

from step_ros.perception.window_strip import THUMBNAIL_WIDTH, WindowStrip

STEP_NS = 100_000_000


def strip_of(stamps_ns: range) -> WindowStrip:
    strip = WindowStrip()
    for stamp_ns in stamps_ns:
        level = stamp_ns // STEP_NS * 10
        strip.add(stamp_ns, np.full((48, 192, 3), level, np.uint8))
    return strip


def levels(thumbnails: list[np.ndarray]) -> list[int]:
    return [int(thumbnail[0, 0, 0]) for thumbnail in thumbnails]


def test_shows_the_window_evenly_and_oldest_first() -> None:
    strip = strip_of(range(STEP_NS, 17 * STEP_NS, STEP_NS))
    shown = strip.thumbnails(STEP_NS, 1920)
    assert levels(shown) == [10 * step for step in range(1, 17)]
    assert shown[0].shape == (24, THUMBNAIL_WIDTH, 3)


def test_a_narrow_picture_has_fewer_and_keeps_both_ends() -> None:
    shown = levels(strip_of(range(STEP_NS, 17 * STEP_NS, STEP_NS)).thumbnails(STEP_NS, 320))
    assert len(shown) == 5
    assert (shown[0], shown[-1]) == (10, 160)


def test_frames_before_the_window_are_not_shown() -> None:
    shown = levels(strip_of(range(STEP_NS, 17 * STEP_NS, STEP_NS)).thumbnails(9 * STEP_NS, 1920))
    assert min(shown) == 90


def test_the_first_frame_may_be_a_little_older_than_its_position() -> None:
    shown = levels(strip_of(range(STEP_NS, 17 * STEP_NS, STEP_NS)).thumbnails(STEP_NS + STEP_NS // 2, 320))
    assert shown[0] == 10


def test_places_of_frames_that_were_not_seen_are_dark() -> None:
    shown = levels(strip_of(range(14 * STEP_NS, 17 * STEP_NS, STEP_NS)).thumbnails(STEP_NS, 320))
    assert shown == [0, 0, 0, 160]


def test_a_recording_that_loops_starts_afresh() -> None:
    strip = strip_of(range(10 * STEP_NS, 17 * STEP_NS, STEP_NS))
    strip.add(2 * STEP_NS, np.full((48, 192, 3), 20, np.uint8))
    assert levels(strip.thumbnails(0, 320)) == [0, 0, 0, 20]
