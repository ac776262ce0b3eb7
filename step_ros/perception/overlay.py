"""What perception sees and says, drawn over the picture."""

from __future__ import annotations

from collections.abc import Sequence

import cv2
import numpy as np

from step_ros.frames.frame import Rgb
from step_ros.perception.drawn_text import CAPITAL_HEIGHT, put_text, text_width
from step_ros.perception.prediction import Perception, Prediction

_WHITE = (255, 255, 255)
_GREY = (185, 195, 205)
_BLUE = (30, 120, 200)
_SMALLEST_ROW = 16  # pixels: below it text cannot be read


def draw_overlay(rgb: Rgb, perception: Perception, *, thumbnails: Sequence[Rgb] = ()) -> Rgb:
    """Draw a row a task at the top left: task, label, confidence, over a bar as long as the confidence.

    Sizes follow the picture's, and text stays legible down to 320 pixels of width; where a row is too narrow
    for the task's name, its label stands alone.

    Args:
        rgb: (H, W, 3) uint8; not changed.
        perception: what to draw.
        thumbnails: (h, w, 3) uint8 each: the window's frames, oldest first, for a strip along the bottom.

    Returns:
        A new (H, W, 3) uint8 picture.
    """
    picture: Rgb = rgb.copy()
    height, width = picture.shape[:2]
    row_height = max(_SMALLEST_ROW, round(min(height / 18, width / 24)))
    if thumbnails:
        _draw_strip(picture, thumbnails, gap=max(1, row_height // 10))
    predictions = list(perception.predictions.values())
    columns = _column_widths(predictions, row_height, width - row_height)
    margin = row_height // 4
    for row, prediction in enumerate(predictions):
        top = margin + row * (row_height + max(1, row_height // 10))
        area = picture[top : top + row_height, margin : margin + sum(columns)]
        _draw_row(area, prediction, columns, row_height)
    return picture


def _column_widths(predictions: Sequence[Prediction], row_height: int, room: int) -> tuple[int, int, int]:
    """Widths of task, label and confidence, in pixels: for the longest label, so that rows never jump."""
    gap = row_height // 2
    task = max((_text_width(_words(p.task), row_height) for p in predictions), default=0) + gap
    label = max((_text_width(_words(name), row_height) for p in predictions for name in p.labels), default=0)
    confidence = _text_width("100%", row_height) + 2 * gap
    if task + label + confidence > room:
        task = 0
    return task, max(0, min(label + gap, room - task - confidence)), confidence


def _draw_row(area: Rgb, prediction: Prediction, columns: tuple[int, int, int], row_height: int) -> None:
    """Fill one row of the picture, in place."""
    if area.shape[0] < row_height:  # the picture has no room for more rows
        return
    area[:] = (area * 0.3).astype(np.uint8)
    filled = area[:, : round(prediction.confidence * area.shape[1])]
    filled[:] = (filled * 0.3 + np.array(_BLUE) * 0.7).astype(np.uint8)
    task, label, confidence = columns
    pad = row_height // 4
    if task:
        _put_text(area[:, :task], _words(prediction.task), pad, _GREY)
    _put_text(area[:, : task + label], _words(prediction.label), pad + task, _WHITE)
    percent = f"{prediction.confidence:.0%}"
    _put_text(area, percent, area.shape[1] - pad - _text_width(percent, row_height), _WHITE)


def _draw_strip(picture: Rgb, thumbnails: Sequence[Rgb], *, gap: int) -> None:
    """Lay the thumbnails side by side along the bottom, in place, all of the first one's proportions."""
    height, width = picture.shape[:2]
    cell = width // len(thumbnails)
    source_height, source_width = thumbnails[0].shape[:2]
    thumb_width = cell - gap
    thumb_height = min(round(thumb_width * source_height / source_width), height // 4)
    if thumb_width < 1 or thumb_height < 1:
        return
    top = height - thumb_height - gap
    picture[top - gap :] = (picture[top - gap :] * 0.3).astype(np.uint8)
    left = (width - cell * len(thumbnails) + gap) // 2
    for position, thumbnail in enumerate(thumbnails):
        x = left + position * cell
        picture[top : top + thumb_height, x : x + thumb_width] = cv2.resize(
            thumbnail, (thumb_width, thumb_height), interpolation=cv2.INTER_AREA
        )


def _put_text(area: Rgb, text: str, left: int, colour: tuple[int, int, int]) -> None:
    """Write one line over a row, vertically centred; what does not fit on the right is cut off."""
    if area.size == 0:
        return
    height = area.shape[0]
    scale, thickness = _font(height)
    baseline = round((height + CAPITAL_HEIGHT * scale) / 2)
    canvas = np.ascontiguousarray(area)  # OpenCV writes to whole arrays only
    put_text(canvas, text, (left, baseline), scale, colour, thickness)
    area[:] = canvas


def _text_width(text: str, row_height: int) -> int:
    return text_width(text, *_font(row_height))


def _font(row_height: int) -> tuple[float, int]:
    """Scale and line thickness of text in a row."""
    return 0.58 * row_height / CAPITAL_HEIGHT, max(1, round(row_height / 20))


def _words(name: str) -> str:
    return name.replace("_", " ")
