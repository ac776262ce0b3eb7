"""Writes a video that ordinary players show, from pictures with times."""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Iterator
from pathlib import Path

import av
import numpy as np

from step_ros.atomic_files import new_file
from step_ros.frames.frame import Rgb


def write_video(path: Path, pictures: Iterable[tuple[int, Rgb]], *, fps: int = 30) -> int:
    """Write an mp4 in H.264, which every player and browser shows.

    Args:
        path: the file; overwritten if it exists.
        pictures: stamps in nanoseconds, ascending, and uint8 (H, W, 3) pictures, all of one even size. A
            picture is shown from its stamp until the next one's.
        fps: pictures a second in the file.

    Returns:
        The number of pictures in the file.

    Raises:
        OSError: the file cannot be written.
        ValueError: there are no pictures, or their sizes are odd or differ.
    """
    count = _write_h264(path, _checked(_at_constant_rate(pictures, fps)), fps)
    if not count:
        raise ValueError(f"there are no pictures to write to {path}")
    return count


def _at_constant_rate(pictures: Iterable[tuple[int, Rgb]], fps: int) -> Iterator[Rgb]:
    """Show each picture until the next one's time: some several times, some, if they come too fast, never."""
    first_ns: int | None = None
    shown: Rgb | None = None
    count = 0
    for stamp_ns, picture in pictures:
        first_ns = stamp_ns if first_ns is None else first_ns
        while shown is not None and count < round((stamp_ns - first_ns) * fps / 1e9):
            yield shown
            count += 1
        shown = picture
    if shown is not None:
        yield shown


def _checked(frames: Iterable[Rgb]) -> Iterator[Rgb]:
    shape: tuple[int, ...] | None = None
    for frame in frames:
        shape = shape or frame.shape
        if frame.shape != shape or frame.dtype != np.uint8 or frame.ndim != 3 or frame.shape[2] != 3:
            raise ValueError(f"pictures must all be uint8 {shape}, got {frame.dtype} {frame.shape}")
        if frame.shape[0] % 2 or frame.shape[1] % 2:
            raise ValueError(f"height and width must be even, got {frame.shape[0]}x{frame.shape[1]}")
        yield frame


def _write_h264(path: Path, frames: Iterator[Rgb], fps: int) -> int:
    count = 0
    first = next(frames, None)
    if first is None:
        return 0
    # The index goes to the front, so that a browser shows the first pictures before it has the last.
    with (
        new_file(path) as draft,
        av.open(str(draft), "w", options={"movflags": "faststart"}) as container,
    ):
        stream = container.add_stream("libx264", rate=fps, options={"preset": "veryfast", "crf": "22"})
        stream.height, stream.width = first.shape[:2]
        stream.pix_fmt = "yuv420p"  # the one that every player knows
        for frame in itertools.chain([first], frames):
            container.mux(stream.encode(av.VideoFrame.from_ndarray(frame, format="rgb24")))
            count += 1
        container.mux(stream.encode(None))
    return count
