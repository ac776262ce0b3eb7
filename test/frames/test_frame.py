"""What a frame accepts."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from step_ros.frames import Frame


def test_a_frame_keeps_its_stamp_and_its_pixels() -> None:
    rgb = np.zeros((2, 3, 3), np.uint8)
    frame = Frame(5, rgb)
    assert frame.stamp_ns == 5
    assert frame.rgb is rgb


def test_two_frames_are_compared_by_identity() -> None:
    rgb = np.zeros((2, 3, 3), np.uint8)
    assert Frame(5, rgb) != Frame(5, rgb)


@pytest.mark.parametrize(
    ("stamp_ns", "rgb", "found"),
    [
        pytest.param(0.5, np.zeros((2, 3, 3), np.uint8), "0.5 (float)", id="a stamp in seconds"),
        pytest.param(True, np.zeros((2, 3, 3), np.uint8), "True (bool)", id="a stamp that is a flag"),
        pytest.param(0, [[[0, 0, 0]]], "list", id="pixels in a list"),
        pytest.param(0, np.zeros((2, 3, 3), np.float32), "float32 (2, 3, 3)", id="pixels as floats"),
        pytest.param(0, np.zeros((2, 3), np.uint8), "uint8 (2, 3)", id="grey"),
        pytest.param(0, np.zeros((3, 2, 4), np.uint8), "uint8 (3, 2, 4)", id="four channels"),
        pytest.param(0, np.zeros((1, 2, 3, 3), np.uint8), "uint8 (1, 2, 3, 3)", id="a batch"),
        pytest.param(0, np.zeros((0, 2, 3), np.uint8), "(0, 2, 3)", id="no rows"),
    ],
)
def test_a_bad_field_is_named(stamp_ns: Any, rgb: Any, found: str) -> None:
    with pytest.raises(ValueError) as error:
        Frame(stamp_ns, rgb)
    assert found in str(error.value)
