"""A run as a video: the window's newest image with what is said of it, and the truth where it is known."""

from __future__ import annotations

import queue
import threading
from pathlib import Path

import cv2
import numpy as np

from step_ros.frames.frame import Rgb
from step_ros.perception import Perception, draw_overlay
from step_ros.perception.drawn_text import put_text, text_width
from step_ros.perception.window_strip import WindowStrip
from step_ros.runs.moments import Moment
from step_ros.runs.run import Run
from step_ros.runs.writers.video_file import write_video
from step_ros.scores.timeline import UNLABELLED

MAX_WIDTH = 960
"""Wider images are made smaller."""

_WAITING = 8  # pictures that may wait for the encoder
_RIGHT, _WRONG = (110, 220, 120), (255, 130, 100)


class RunVideo:
    """Writes an mp4 while a run goes on; a context manager.

    Args:
        path: of the file.
        run: whose truth is drawn below the labels, green where they agree.
    """

    def __init__(self, path: Path, run: Run) -> None:
        self._of = run
        self._strip = WindowStrip()
        self._last_ns = -1
        self._pictures: queue.Queue[tuple[int, Rgb] | None] = queue.Queue(_WAITING)
        self._error: Exception | None = None
        self._thread = threading.Thread(target=self._run, args=(path,), name="video", daemon=True)
        self._thread.start()

    def add(self, moment: Moment) -> None:
        """Draw and encode an update's image.

        Raises:
            OSError, ValueError: what `write_video` has raised meanwhile.
        """
        if self._error is not None:
            raise self._error
        frame = moment.frame
        if (
            frame is None or frame.stamp_ns <= self._last_ns
        ):  # the recording began again: a video's time cannot
            return
        self._last_ns = frame.stamp_ns
        rgb = _for_codec(frame.rgb)
        self._strip.add(frame.stamp_ns, rgb)
        perception = self._of.perception(moment.update)
        thumbnails = self._strip.thumbnails(perception.window_start_ns, rgb.shape[1])
        picture = draw_overlay(rgb, perception, thumbnails=thumbnails)
        self._draw_truth(picture, perception)
        self._pictures.put((frame.stamp_ns, picture))

    def __enter__(self) -> RunVideo:
        return self

    def __exit__(self, kind: object, error: object, trace: object) -> None:
        self._pictures.put(None)
        self._thread.join()
        if error is None and self._error is not None and self._last_ns >= 0:
            raise self._error

    def _run(self, path: Path) -> None:
        try:
            write_video(path, iter(self._pictures.get, None))
        except Exception as error:
            self._error = error
            while self._pictures.get() is not None:  # nobody may wait for room that never comes
                pass

    def _draw_truth(self, picture: Rgb, perception: Perception) -> None:
        height, width = picture.shape[:2]
        scale = max(width / 1000, 0.36)
        row = round(36 * scale)
        known = {
            task: label
            for task, timeline in self._of.truth.items()
            if (label := timeline.at(perception.stamp_ns)) != UNLABELLED
        }
        bottom = round(0.73 * height)  # above the strip of thumbnails
        for place, (task, label) in enumerate(reversed(known.items())):
            said = perception.predictions.get(task)
            right = said is not None and said.label == label
            text = f"true: {label}".replace("_", " ")
            length = text_width(text, scale, 1)
            top = bottom - row * (place + 1)
            area = picture[max(top, 0) : top + row - 1, : length + row]
            area[:] = (area * 0.3).astype(np.uint8)
            at = (row // 2, top + round(0.72 * row))
            colour = _RIGHT if right else _WRONG
            put_text(picture, text, at, scale, colour, 1)


def _for_codec(rgb: Rgb) -> Rgb:
    """At most `MAX_WIDTH` wide, and of even size, as video codecs want it."""
    height, width = rgb.shape[:2]
    if width > MAX_WIDTH:
        height, width = round(height * MAX_WIDTH / width), MAX_WIDTH
        rgb = cv2.resize(rgb, (width, height), interpolation=cv2.INTER_AREA).astype(np.uint8)
    return rgb[: height // 2 * 2, : width // 2 * 2]
