"""Reading video files."""

from __future__ import annotations

import logging
import struct
from pathlib import Path

import av
import cv2
import numpy as np
import pytest

from step_ros.frames import VideoError, read_video
from step_ros.frames.video import announced_seconds

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
    assert str(path) in caplog.text and "frames could be read" in caplog.text


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


def encode(path: Path, codec: str, pixels: str = "yuv420p", count: int = COUNT, rate: int = RATE) -> Path:
    """Frame i is grey at 20 * i, brighter in its upper left quarter."""
    with av.open(str(path), "w") as container:
        stream = container.add_stream(codec, rate=rate)
        stream.width, stream.height, stream.pix_fmt = 64, 48, pixels
        for i in range(count):
            rgb = np.full((48, 64, 3), 20 * i % 200, np.uint8)
            rgb[:24, :32] += 50
            container.mux(stream.encode(av.VideoFrame.from_ndarray(rgb, format="rgb24")))
        container.mux(stream.encode())
    return path


@pytest.mark.parametrize(
    ("codec", "pixels", "suffix"),
    [
        ("libx264", "yuv420p", ".mp4"),
        ("libx264", "yuv444p", ".mkv"),
        ("libx265", "yuv420p10le", ".mp4"),
        ("libsvtav1", "yuv420p", ".mkv"),
        ("libvpx-vp9", "yuv420p", ".webm"),
        ("mpeg4", "yuv420p", ".ts"),
        ("mjpeg", "yuvj420p", ".mov"),
    ],
)
def test_films_as_they_are(tmp_path: Path, codec: str, pixels: str, suffix: str) -> None:
    """In B-frames' order of presentation, of ten bits, in full range."""
    if codec not in av.codecs_available:
        pytest.skip(f"this build of FFmpeg writes no {codec}")
    path = encode(tmp_path / f"film{suffix}", codec, pixels)
    frames = list(read_video(path))
    assert len(frames) == COUNT
    means = [frame.rgb[30:44, 40:60].mean() for frame in frames]
    np.testing.assert_allclose(means, [20 * i % 200 for i in range(COUNT)], atol=12)
    steps = np.diff([frame.stamp_ns for frame in frames])
    np.testing.assert_allclose(steps, 1e9 / RATE, atol=1_000_001)
    if suffix != ".ts":
        assert announced_seconds(path) == pytest.approx(COUNT / RATE, abs=0.05)


def test_a_film_of_a_telephone_held_upright_is_turned(tmp_path: Path) -> None:
    path = encode(tmp_path / "upright.mp4", "libx264")
    content = path.read_bytes()
    matrix = content.index(b"tkhd") + 4 + 40
    quarter = struct.pack(
        ">9i", 0, 1 << 16, 0, -(1 << 16), 0, 0, 0, 0, 1 << 30
    )  # clockwise, as players show it
    path.write_bytes(content[:matrix] + quarter + content[matrix + 36 :])
    frame = next(read_video(path))
    assert frame.rgb.shape == (64, 48, 3)
    upper_right = frame.rgb[4:28, 28:44].mean()
    assert upper_right > 30 + frame.rgb[36:60, 4:44].mean(), "the upper left quarter has come to the right"


def test_what_follows_a_damaged_stretch_is_read(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    path = encode(tmp_path / "film.avi", "mjpeg", "yuvj420p", count=30)
    content = bytearray(path.read_bytes())
    images = [i for i in range(len(content) - 4) if content[i : i + 4] == b"00dc"][10:15]
    for start in images:
        (size,) = struct.unpack("<I", content[start + 4 : start + 8])
        content[start + 8 : start + 8 + size] = b"\x55" * size
    path.write_bytes(content)
    with caplog.at_level(logging.WARNING):
        frames = list(read_video(path))
    assert len(frames) == 25 and frames[-1].stamp_ns == round(29e9 / RATE)
    assert "is damaged (5 of it left out): 25 frames could be read" in caplog.text


def test_frames_that_are_too_large_are_refused_before_they_are_decoded(tmp_path: Path) -> None:
    path = encode(tmp_path / "film.mp4", "libx264")
    with pytest.raises(VideoError, match=r"film\.mp4 has frames of 64x48, more than 3000 pixels"):
        read_video(path, max_pixels=3000)


def test_sound_alone_is_no_video(tmp_path: Path) -> None:
    path = tmp_path / "sound.wav"
    with av.open(str(path), "w") as container:
        stream = container.add_stream("pcm_s16le", rate=8000)
        silence = av.AudioFrame.from_ndarray(np.zeros((1, 800), np.int16), format="s16", layout="mono")
        silence.sample_rate = 8000
        container.mux(stream.encode(silence))
    with pytest.raises(VideoError, match=r"sound\.wav .* holds no video"):
        read_video(path)
    assert announced_seconds(tmp_path / "nowhere.mp4") == 0.0
