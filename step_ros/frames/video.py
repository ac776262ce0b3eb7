"""The frames of a video file."""

from __future__ import annotations

import logging
import os
from collections.abc import Iterator
from contextlib import closing
from fractions import Fraction
from pathlib import Path
from typing import cast

import av
import numpy as np
from av.video.frame import VideoFrame
from av.video.stream import VideoStream
from numpy.typing import NDArray

from step_ros.frames.frame import Frame
from step_ros.frames.image_message import MAX_PIXELS

_log = logging.getLogger(__name__)


class VideoError(ValueError):
    """A file that cannot be read as a video; the message names it."""


def read_video(path: str | os.PathLike[str], *, max_pixels: int = MAX_PIXELS) -> Iterator[Frame]:
    """Read a video file frame by frame, upright as its container says.

    The stamps are the container's own timestamps (the first frame of most files has 0), so variable frame
    rates stay what they are, and so does a size that changes on the way. What is damaged is left out, and
    what comes after it is read; that some of it is, or that the file ends early, is a warning in the log.

    Args:
        path: A file of any container and codec that FFmpeg knows, as PyAV brings it along.
        max_pixels: Larger frames are refused.

    Returns:
        The frames in the order of presentation, decoded as they are asked for.

    Raises:
        VideoError: The file is missing, is no video, has a codec that this FFmpeg lacks, or frames that are
            too large; raised by the call itself. A video of which no frame can be decoded, and a frame that
            has grown too large, raise it when the frame is asked for.
    """
    path = Path(path)
    container = _open(path)
    try:
        stream = _video_stream(path, container)
        _check_size(path, stream.codec_context.width, stream.codec_context.height, max_pixels)
    except VideoError:
        container.close()
        raise
    return _frames(path, container, stream, max_pixels)


def announced_seconds(path: Path) -> float:
    """How long a video is by its header; 0 where that does not say, or is none."""
    try:
        with closing(_open(path)) as container:
            return max(container.duration or 0, 0) / av.time_base
    except VideoError:
        return 0.0


def is_video(path: Path) -> bool:
    """Whether a file holds a film, whatever it is called; a picture is none."""
    try:
        with closing(_open(path)) as container:
            of_pictures = container.format.name.endswith(("image2", "_pipe"))
            return bool(container.streams.video) and not of_pictures
    except VideoError:
        return False


def _open(path: Path) -> av.container.InputContainer:
    if not path.is_file():
        raise VideoError(
            f"{path} {'is a folder' if path.is_dir() else 'does not exist'}; expected a video file"
        )
    try:
        return av.open(str(path))
    except (av.FFmpegError, OSError, ValueError) as error:
        raise VideoError(
            f"{path} ({path.stat().st_size} bytes) is no video that FFmpeg can open, or its head is damaged: "
            f"{_reason(error)}"
        ) from error


def _video_stream(path: Path, container: av.container.InputContainer) -> VideoStream:
    if not container.streams.video:
        raise VideoError(f"{path} ({path.stat().st_size} bytes) holds no video")
    stream = container.streams.video[0]
    if stream.codec_context is None:  # FFmpeg knows what it is, and cannot decode it
        raise VideoError(
            f"this build of FFmpeg cannot decode the codec of {path}; convert it: "
            "ffmpeg -i INPUT -c:v libx264 OUT.mp4"
        )
    stream.thread_type = "AUTO"
    return stream


def _frames(
    path: Path, container: av.container.InputContainer, stream: VideoStream, max_pixels: int
) -> Iterator[Frame]:
    announced, rate = stream.frames, stream.average_rate
    count, damaged, previous_ns, shift_ns = 0, 0, -1, 0
    with closing(container):
        for decoded in _decoded(container, stream):
            if decoded is None or decoded.is_corrupt:
                damaged += 1
                continue
            _check_size(path, decoded.width, decoded.height, max_pixels)
            stamp_ns = _stamp_ns(path, decoded, previous_ns, rate)
            shift_ns = max(shift_ns, -stamp_ns) if count == 0 else shift_ns  # some begin before 0
            if count and stamp_ns + shift_ns <= previous_ns:
                damaged += 1
                continue
            yield Frame(stamp_ns + shift_ns, _upright(decoded))
            count, previous_ns = count + 1, stamp_ns + shift_ns
    if count == 0:
        raise VideoError(
            f"{path} opens as a video, but not one frame of it can be decoded; the file is damaged or empty"
        )
    # Some containers only estimate their number of frames, from duration and rate.
    early = count + damaged + 1 < 0.98 * announced
    if damaged or early:
        what = [f"is damaged ({damaged} of it left out)"] if damaged else []
        what += [f"ends early (it announces {announced} frames)"] if early else []
        _log.warning("%s %s: %d frames could be read", path, " and ".join(what), count)


def _decoded(container: av.container.InputContainer, stream: VideoStream) -> Iterator[VideoFrame | None]:
    """The frames in the order of presentation; None for what cannot be decoded."""
    packets = container.demux(stream)
    while True:
        try:
            packet = next(packets)
        except StopIteration:
            return
        except av.FFmpegError:  # the rest cannot be told apart into packets
            yield None
            return
        try:
            yield from packet.decode()
        except av.FFmpegError:
            yield None


def _stamp_ns(path: Path, frame: VideoFrame, previous_ns: int, rate: Fraction | None) -> int:
    if frame.pts is not None and frame.time_base is not None:
        return round(frame.pts * frame.time_base * 10**9)
    # A container without timestamps (a raw stream): the nominal rate is all that is known.
    if not rate:
        raise VideoError(f"{path} has neither timestamps nor a frame rate; put it into an mp4 or mkv")
    return 0 if previous_ns < 0 else previous_ns + round(10**9 / rate)


def _upright(frame: VideoFrame) -> NDArray[np.uint8]:
    """RGB (H, W, 3), turned as the container's display matrix says: by quarters, as cameras write it."""
    rgb = cast("NDArray[np.uint8]", frame.to_ndarray(format="rgb24"))
    quarters = round(getattr(frame, "rotation", 0) / 90) % 4
    return np.ascontiguousarray(np.rot90(rgb, quarters)) if quarters else rgb


def _check_size(path: Path, width: int, height: int, max_pixels: int) -> None:
    if width * height > max_pixels:
        raise VideoError(f"{path} has frames of {width}x{height}, more than {max_pixels} pixels")


def _reason(error: Exception) -> str:
    return getattr(error, "strerror", None) or str(error)
