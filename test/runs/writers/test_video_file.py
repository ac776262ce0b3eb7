"""Videos written from pictures with times, read back."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from step_ros.frames import read_video
from step_ros.runs.writers.video_file import write_video

FRAME_NS = 1_000_000_000 // 30


def picture(value: int, height: int = 64) -> np.ndarray:
    return np.full((height, 96, 3), value, np.uint8)


def brightness(path: Path) -> list[float]:
    return [float(frame.rgb.mean()) for frame in read_video(path)]


def test_pictures_come_back_in_order(tmp_path: Path) -> None:
    path = tmp_path / "video.mp4"
    values = [20, 80, 140, 200]
    count = write_video(path, [(index * FRAME_NS, picture(value)) for index, value in enumerate(values)])
    assert count == len(values)
    assert brightness(path) == pytest.approx(values, abs=12)


def test_a_picture_is_shown_until_the_next_ones_time(tmp_path: Path) -> None:
    path = tmp_path / "video.mp4"
    count = write_video(path, [(0, picture(20)), (3 * FRAME_NS, picture(200))])
    assert count == 4
    assert brightness(path) == pytest.approx([20, 20, 20, 200], abs=12)


@pytest.mark.parametrize(
    ("pictures", "message"),
    [
        ([], "no pictures"),
        ([(0, picture(1, height=63))], "even"),
        ([(0, picture(1)), (FRAME_NS, picture(1, height=32)), (2 * FRAME_NS, picture(1))], "must all be"),
    ],
    ids=["none", "odd height", "two sizes"],
)
def test_what_is_no_video_is_refused(
    tmp_path: Path, pictures: list[tuple[int, np.ndarray]], message: str
) -> None:
    with pytest.raises(ValueError, match=message):
        write_video(tmp_path / "video.mp4", pictures)


def test_where_nothing_can_be_written_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(OSError):
        write_video(tmp_path / "nowhere" / "video.mp4", [(0, picture(1))])
