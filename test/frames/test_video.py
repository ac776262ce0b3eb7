"""Reading video files."""

from __future__ import annotations

import logging
from pathlib import Path

import cv2
import numpy as np
import pytest

from step_ros.frames import VideoError, read_video

RATE, COUNT = 25, 12
KINDS = [("mp4v", ".mp4"), ("MJPG", ".avi"), ("MJPG", ".mkv")]


def write_video(path: Path, codec: str) -> Path:
    """Frame i has red at 20 * i, on a blue ground whose left half is darker."""
    writer = cv2.VideoWriter(str(path), cv2.VideoWriter.fourcc(*codec), RATE, (64, 48))
    assert writer.isOpened()
    for i in range(COUNT):
        bgr = np.zeros((48, 64, 3), np.uint8)
        bgr[..., 0], bgr[..., 2] = 200, 20 * i
        bgr[:, :32, 0] = 60
        writer.write(bgr)
    writer.release()
    return path


@pytest.mark.parametrize(("codec", "suffix"), KINDS)
def test_a_video_comes_back_with_its_colours_and_times(tmp_path: Path, codec: str, suffix: str) -> None:
    frames = list(read_video(write_video(tmp_path / f"video{suffix}", codec)))
    assert len(frames) == COUNT
    for i, frame in enumerate(frames):
        assert abs(frame.stamp_ns - i * 1_000_000_000 // RATE) <= 1_000_000  # mkv counts milliseconds
        assert frame.rgb.shape == (48, 64, 3)
        left, right = frame.rgb[8:40, 4:28].mean((0, 1)), frame.rgb[8:40, 36:60].mean((0, 1))
        np.testing.assert_allclose(left, [20 * i, 0, 60], atol=12)
        np.testing.assert_allclose(right, [20 * i, 0, 200], atol=12)


def test_a_path_may_be_a_string(tmp_path: Path) -> None:
    assert len(list(read_video(str(write_video(tmp_path / "video.avi", "MJPG"))))) == COUNT


def test_reading_may_stop_early(tmp_path: Path) -> None:
    path = write_video(tmp_path / "video.avi", "MJPG")
    frames = read_video(path)
    assert next(frames).stamp_ns == 0
    del frames
    assert len(list(read_video(path))) == COUNT


def test_a_video_cut_off_is_read_as_far_as_it_goes(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    path = write_video(tmp_path / "video.avi", "MJPG")
    content = path.read_bytes()
    start = content.index(b"movi")  # where its header ends
    path.write_bytes(content[: (start + len(content)) // 2])
    with caplog.at_level(logging.WARNING):
        frames = list(read_video(path))
    assert 0 < len(frames) < COUNT
    assert str(path) in caplog.text and f"announces {COUNT}" in caplog.text


@pytest.mark.parametrize(
    "content",
    [
        pytest.param(b"", id="an empty file"),
        pytest.param(b"not a video\n" * 100, id="text"),
        pytest.param(bytes(4096), id="zeros"),
        pytest.param(b"\0\0\0\x1cftypisom\0\0\2\0isomiso2mp41\0\0\0\x08free", id="the head of an mp4"),
    ],
)
def test_what_is_no_video_is_named(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "video.mp4"
    path.write_bytes(content)
    with pytest.raises(VideoError, match=r"video\.mp4") as error:
        read_video(path)
    assert f"{len(content)} bytes" in str(error.value)


def test_an_mp4_cut_off_is_named(tmp_path: Path) -> None:
    path = write_video(tmp_path / "video.mp4", "mp4v")
    path.write_bytes(path.read_bytes()[:-500])  # its index stands at the end
    with pytest.raises(VideoError, match=r"video\.mp4"):
        list(read_video(path))


def test_a_missing_file_and_a_folder_are_named(tmp_path: Path) -> None:
    with pytest.raises(VideoError, match=r"none\.mp4 does not exist"):
        read_video(tmp_path / "none.mp4")
    with pytest.raises(VideoError, match="is a folder"):
        read_video(tmp_path)
