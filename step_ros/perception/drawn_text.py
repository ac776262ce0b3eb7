"""Text on pictures, in other scripts than ASCII too, whichever OpenCV draws it."""

from __future__ import annotations

from functools import lru_cache
from pathlib import Path
from typing import Any

import cv2
import numpy as np

from step_ros.frames.frame import Rgb

CAPITAL_HEIGHT = 21
"""Pixels of a capital letter at scale 1."""

_STROKES = cv2.FONT_HERSHEY_SIMPLEX
_CAPITAL_OF_EM = 0.729  # in DejaVu Sans

# OpenCV 5 has fonts of outlines; before, it has the strokes of ASCII, and writes `?` for the rest.
_HAS_OUTLINES = hasattr(cv2, "FontFace")


def text_width(text: str, scale: float, thickness: int) -> int:
    """Pixels that a line of text takes."""
    if text.isascii() or _HAS_OUTLINES:
        (width, _), _ = cv2.getTextSize(text, _STROKES, scale, thickness)
        return int(width)
    return int(round(_outlines(scale).getlength(text)))


def put_text(
    picture: Rgb, text: str, at: tuple[int, int], scale: float, colour: tuple[int, int, int], thickness: int
) -> None:
    """Write one line; what does not fit is cut off.

    Args:
        picture: (H, W, 3) uint8, contiguous; written to.
        text: the line.
        at: where its base line begins, from the left and from the top.
        scale: capitals are that times `CAPITAL_HEIGHT` high.
        colour: in the order of the picture's channels.
        thickness: of the strokes, where the letters are strokes.
    """
    if text.isascii() or _HAS_OUTLINES:
        cv2.putText(picture, text, at, _STROKES, scale, colour, thickness, cv2.LINE_AA)
        return
    from PIL import Image, ImageDraw

    image = Image.fromarray(picture)
    ImageDraw.Draw(image).text(at, text, fill=colour, font=_outlines(scale), anchor="ls")
    picture[:] = np.asarray(image)


def _outlines(scale: float) -> Any:
    return _dejavu(max(1, round(scale * CAPITAL_HEIGHT / _CAPITAL_OF_EM)))


@lru_cache(maxsize=8)
def _dejavu(size: int) -> Any:
    """The font that comes with matplotlib: Latin, Greek, Cyrillic, Arabic and more, but no Chinese."""
    import matplotlib
    from PIL import ImageFont

    return ImageFont.truetype(str(Path(matplotlib.get_data_path(), "fonts", "ttf", "DejaVuSans.ttf")), size)
