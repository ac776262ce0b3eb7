"""Image messages, raw and compressed: pixels or an ImageError with a known cause, whatever comes."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import cv2
import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from step_ros.frames import IMAGE_ERROR_CAUSES, ImageError, decode_compressed_image, decode_image
from step_ros.frames.pixels import CONVERTERS

from .mutations import cases, mutated

MAX_PIXELS = 1_000_000
SIZE = st.integers(0, 64) | st.integers(0, 2**32 - 1) | st.sampled_from([60_000, 65_535, 2**31])


def files() -> list[bytes]:
    """Small JPEGs and PNGs of every kind that cameras send."""
    rgb = np.random.default_rng(0).integers(0, 255, (24, 32, 3), np.uint8)
    pictures = {
        ".jpg": [rgb, rgb[..., 0]],
        ".png": [rgb, rgb[..., 0], np.dstack([rgb, rgb[..., :1]]), rgb[..., 0].astype(np.uint16) * 257],
    }
    return [cv2.imencode(kind, each)[1].tobytes() for kind, them in pictures.items() for each in them]


FILES = files()
HUGE_PNG = bytearray(FILES[2])
HUGE_PNG[16:24] = (60_000).to_bytes(4, "big") * 2
FORMATS = [
    "jpeg",
    "png",
    "rgb8; jpeg compressed bgr8",
    "bayer_gbrg16; png compressed ",
    "compressedDepth",
    "",
]


def decodes_or_says_why(decode: Any, message: Any) -> None:
    try:
        rgb = decode(message, max_pixels=MAX_PIXELS)
    except ImageError as error:
        assert error.cause in IMAGE_ERROR_CAUSES and str(error)
    else:
        assert (
            rgb.dtype == np.uint8 and rgb.ndim == 3 and rgb.shape[2] == 3 and 0 < rgb.size <= 3 * MAX_PIXELS
        )


@cases(usually=400)
@given(
    encoding=st.sampled_from(sorted(CONVERTERS)) | st.text(max_size=12),
    height=SIZE,
    width=SIZE,
    step=SIZE,
    is_bigendian=st.integers(0, 255),
    data=st.binary(max_size=300) | st.integers(0, 50_000).map(bytes),
)
def test_raw_images(**fields: Any) -> None:
    decodes_or_says_why(decode_image, SimpleNamespace(**fields))


@cases(usually=400)
@given(
    format=st.sampled_from(FORMATS) | st.text(max_size=20),
    data=mutated([*FILES, bytes(HUGE_PNG)]) | st.binary(max_size=100),
)
def test_compressed_images(**fields: Any) -> None:
    decodes_or_says_why(decode_compressed_image, SimpleNamespace(**fields))
