"""The frames of a video file."""

from __future__ import annotations

import logging
import os
from collections.abc import Iterator
from pathlib import Path
from typing import cast

import cv2
import numpy as np
import numpy.typing as npt

from step_ros.frames.frame import Frame

_log = logging.getLogger(__name__)


class VideoError(ValueError):
    """A file that cannot be read as a video; the message names it."""


def read_video(path: str | os.PathLike[str]) -> Iterator[Frame]:
    """Read a video file frame by frame.

    The stamps are the container's own timestamps (the first frame of most files has 0), so variable frame
    rates stay what they are. A file that ends early is read as far as it goes, with a warning in the log.

    Args:
        path: A file of any container and codec that OpenCV's build reads.

    Returns:
        The frames in the order of presentation, decoded as they are asked for.

    Raises:
        VideoError: The file is missing or is no video that OpenCV can read; raised by the call itself. A
            video of which no frame can be decoded raises it when the first frame is asked for.
    """
    path = Path(path)
    if not path.is_file():
        raise VideoError(
            f"{path} {'is a folder' if path.is_dir() else 'does not exist'}; expected a video file"
        )
    try:
        capture = cv2.VideoCapture(str(path))
    except cv2.error as error:  # some backends raise where others leave the capture closed
        raise VideoError(f"OpenCV cannot read {path} as a video: {error}") from error
    if not capture.isOpened():
        raise VideoError(
            f"OpenCV cannot read {path} ({path.stat().st_size} bytes) as a video: the file is damaged, or "
            "this build lacks its container or codec; try to convert it: ffmpeg -i INPUT -c:v libx264 OUT.mp4"
        )
    return _frames(capture, path)


def _frames(capture: cv2.VideoCapture, path: Path) -> Iterator[Frame]:
    announced = capture.get(cv2.CAP_PROP_FRAME_COUNT)
    rate = capture.get(cv2.CAP_PROP_FPS)
    count, previous_ns = 0, -1
    try:
        while True:
            good, bgr = capture.read()
            if not good:
                break
            stamp_ns = round(capture.get(cv2.CAP_PROP_POS_MSEC) * 1e6)
            if count > 0 and stamp_ns <= previous_ns:
                # A container without timestamps (a raw stream): the nominal rate is all that is known.
                if not rate > 0:
                    raise VideoError(
                        f"{path} has neither timestamps nor a frame rate; put it into an mp4 or mkv"
                    )
                stamp_ns = previous_ns + round(1e9 / rate)
            yield Frame(stamp_ns, cast("npt.NDArray[np.uint8]", cv2.cvtColor(bgr, cv2.COLOR_BGR2RGB)))
            count, previous_ns = count + 1, stamp_ns
    finally:
        capture.release()
    if count == 0:
        raise VideoError(
            f"{path} opens as a video, but not one frame of it can be decoded; the file is damaged or empty"
        )
    # Some containers only estimate their number of frames, from duration and rate.
    if count + 1 < 0.98 * announced:
        _log.warning("%s ends early: it announces %d frames, %d could be read", path, announced, count)
