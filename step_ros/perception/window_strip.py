"""The window as a strip of thumbnails, kept up to date frame by frame."""

from __future__ import annotations

from collections import deque

import cv2
import numpy as np

from step_ros.frames.frame import Rgb

THUMBNAIL_WIDTH = 96
"""Pixels; a strip is drawn smaller than that."""

_MOST = 64
_CELL_WIDTH = 56  # pixels of the picture that a thumbnail is given at the least
_FEWEST = 4


class WindowStrip:
    """Thumbnails of the frames that a window shows."""

    def __init__(self) -> None:
        self._thumbnails: deque[tuple[int, Rgb]] = deque(maxlen=_MOST)

    def add(self, stamp_ns: int, rgb: Rgb) -> None:
        """Take the window's newest frame, (H, W, 3) uint8; a stamp before the last one starts afresh."""
        if self._thumbnails and stamp_ns < self._thumbnails[-1][0]:
            self._thumbnails.clear()
        height = max(1, round(rgb.shape[0] * THUMBNAIL_WIDTH / rgb.shape[1]))
        small = cv2.resize(rgb, (THUMBNAIL_WIDTH, height), interpolation=cv2.INTER_AREA)
        self._thumbnails.append((stamp_ns, small.astype(np.uint8)))

    def thumbnails(self, window_start_ns: int, width: int) -> list[Rgb]:
        """As many as a picture of that width has room for, evenly spaced from the window's start on.

        Where the frames from the window's beginning have not been seen (who looks has just come), the first
        places are dark.
        """
        newest_ns = self._thumbnails[-1][0] if self._thumbnails else window_start_ns
        places = max(_FEWEST, min(len(self._thumbnails), width // _CELL_WIDTH))
        span_ns = newest_ns - window_start_ns
        # The frame of the first position is a little older than the position.
        oldest_ns = window_start_ns - span_ns // 4
        shown = []
        for place in range(places):
            wanted_ns = window_start_ns + span_ns * place // max(places - 1, 1)
            known = [rgb for stamp_ns, rgb in self._thumbnails if oldest_ns <= stamp_ns <= wanted_ns]
            shown.append(known[-1] if known else None)
        dark = np.zeros_like(self._thumbnails[-1][1]) if self._thumbnails else np.zeros((3, 4, 3), np.uint8)
        return [dark if thumbnail is None else thumbnail for thumbnail in shown]
