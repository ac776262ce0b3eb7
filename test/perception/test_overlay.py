"""The overlay: where it draws, that it follows the picture's size, and that nothing breaks it."""

from __future__ import annotations

import numpy as np
import pytest

from step_ros.perception import Perception, Prediction, draw_overlay

SIZES = [(240, 320), (480, 640), (1080, 1920)]


def perception(confidence: float = 0.75, tasks: int = 2, label: str = "put_into_drawer") -> Perception:
    predictions = {}
    for number in range(tasks):
        rest = np.array([confidence, 1 - confidence], dtype=np.float32)
        predictions[f"task_{number}"] = Prediction(f"task_{number}", (label, "idle"), rest)
    return Perception(0, 0, predictions, 0)


def grey(height: int, width: int) -> np.ndarray:
    return np.full((height, width, 3), 128, dtype=np.uint8)


def changed_rows(before: np.ndarray, after: np.ndarray) -> np.ndarray:
    return np.flatnonzero((before != after).any(axis=(1, 2)))


@pytest.mark.parametrize(("height", "width"), SIZES)
def test_rows_stand_at_the_top_left_and_leave_the_rest_alone(height: int, width: int) -> None:
    picture = grey(height, width)
    drawn = draw_overlay(picture, perception())
    assert drawn.shape == picture.shape and drawn.dtype == np.uint8
    assert (picture == 128).all()
    rows = changed_rows(picture, drawn)
    assert rows[0] < 0.05 * height and rows[-1] < 0.2 * height


@pytest.mark.parametrize(("height", "width"), SIZES)
def test_text_takes_the_same_share_of_every_picture(height: int, width: int) -> None:
    """White letters, 2 to 6 % of the picture's height, and eight pixels at the least."""
    drawn = draw_overlay(grey(height, width), perception(tasks=1))
    letters = np.flatnonzero((drawn > 200).all(axis=2).any(axis=1))
    assert max(8, 0.02 * height) <= letters[-1] - letters[0] + 1 <= 0.06 * height


def test_the_bar_is_as_long_as_the_confidence() -> None:
    lengths = []
    for confidence in (0.6, 0.8, 1.0):
        drawn = draw_overlay(grey(480, 640), perception(confidence, tasks=1)).astype(int)
        bottom = drawn[changed_rows(grey(480, 640), drawn)[-1]]
        lengths.append(int((bottom[:, 2] - bottom[:, 0] > 60).sum()))
    assert lengths[2] > 100
    assert lengths[0] == pytest.approx(0.6 * lengths[2], abs=2)
    assert lengths[1] == pytest.approx(0.8 * lengths[2], abs=2)


def test_another_label_does_not_move_the_rows() -> None:
    """Their width is that of the longest label, not of the one shown."""
    extents = []
    for confidence in (0.9, 0.1):
        drawn = draw_overlay(grey(480, 640), perception(confidence, tasks=1))
        extents.append(np.flatnonzero((drawn != 128).any(axis=(0, 2)))[-1])
    assert extents[0] == extents[1]


@pytest.mark.parametrize(("height", "width"), SIZES)
def test_thumbnails_fill_a_strip_along_the_bottom_in_order(height: int, width: int) -> None:
    thumbnails = [np.full((24, 32, 3), level, dtype=np.uint8) for level in (10, 60, 110, 160, 210)]
    drawn = draw_overlay(grey(height, width), perception(tasks=0), thumbnails=thumbnails)
    rows = changed_rows(grey(height, width), drawn)
    assert rows[-1] == height - 1 and rows[0] >= 0.7 * height
    middle = drawn[(rows[0] + rows[-1]) // 2, :, 0]
    seen = [middle[round((position + 0.5) * width / 5)] for position in range(5)]
    assert seen == [10, 60, 110, 160, 210]


@pytest.mark.parametrize(
    ("height", "width", "tasks", "label"),
    [
        (24, 32, 3, "put_into_drawer"),
        (1, 1, 1, "idle_"),
        (240, 320, 40, "put_into_drawer"),
        (240, 320, 2, "a_label_that_is_much_longer_than_any_picture_of_this_size_is_wide"),
        (480, 640, 1, "öffnen"),
        (480, 640, 0, ""),
    ],
    ids=["tiny", "one pixel", "more tasks than room", "long label", "not ASCII", "no tasks"],
)
def test_whatever_comes_is_drawn_as_far_as_there_is_room(
    height: int, width: int, tasks: int, label: str
) -> None:
    thumbnails = [grey(8, 8)] * 16
    drawn = draw_overlay(grey(height, width), perception(tasks=tasks, label=label), thumbnails=thumbnails)
    assert drawn.shape == (height, width, 3)


def test_a_picture_that_is_not_contiguous_is_drawn_on_all_the_same() -> None:
    picture = grey(480, 640)[:, ::-1]
    expected = draw_overlay(grey(480, 640), perception())
    assert np.array_equal(draw_overlay(picture, perception()), expected)
