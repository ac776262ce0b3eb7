"""How do the bytes of each of sensor_msgs' image encodings become RGB?"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Any, cast

import cv2
import numpy as np
import numpy.typing as npt

from step_ros.frames.frame import Rgb
from step_ros.frames.image_error import ImageError

Bytes = npt.NDArray[np.uint8]
Pixels = npt.NDArray[Any]


@dataclass(frozen=True)
class RawImage:
    """The fields of a sensor_msgs/Image; height and width are at least 1."""

    height: int
    """Rows."""

    width: int
    """Columns."""

    step: int
    """Bytes from the start of a row to the start of the next one."""

    big_endian: bool
    """Byte order of 16 bit channels."""

    data: Bytes
    """uint8 (N,)."""

    encoding: str
    """One of the keys of ``CONVERTERS``."""

    def rows(self, row_bytes: int) -> Bytes:
        """The image's rows without their padding, uint8 (height, row_bytes), not copied.

        Raises:
            ImageError: With the cause wrong_step or truncated_data.
        """
        if self.step < row_bytes:
            raise ImageError(
                "wrong_step",
                f"step is {self.step} bytes, but a row of {self.width} pixels of {self.encoding} takes "
                f"{row_bytes}",
            )
        return self.plane(0, self.height, row_bytes, self.step)

    def plane(self, start: int, height: int, row_bytes: int, step: int) -> Bytes:
        """``height`` rows of ``row_bytes`` bytes, ``step`` bytes apart, from byte ``start`` on.

        Raises:
            ImageError: With the cause truncated_data.
        """
        end = start + step * height
        if self.data.size < end:
            raise ImageError(
                "truncated_data",
                f"data holds {self.data.size} bytes, but {self.width}x{self.height} pixels of "
                f"{self.encoding} with a step of {self.step} bytes take {end}",
            )
        return self.data[start:end].reshape(height, step)[:, :row_bytes]


def to_8_bit(pixels: Pixels) -> Rgb:
    """Scale 16 bit pixels by 255/65535, rounding to the nearest; 8 bit pixels are returned as they are."""
    return cast(Rgb, cv2.convertScaleAbs(pixels, alpha=255 / 65535) if pixels.dtype == np.uint16 else pixels)


def demosaic(mosaic: Pixels, code: int) -> Pixels:
    """Interpolate a Bayer image (H, W) of 8 or 16 bit to RGB (H, W, 3) of the same depth."""
    height, width = mosaic.shape
    if height >= 3 and width >= 3:
        return cv2.cvtColor(mosaic, code)
    # Below 3x3 OpenCV returns black. Mirrored about its edge pixels, the pattern goes on unbroken.
    framed = cv2.copyMakeBorder(mosaic, 2, 2, 2, 2, cv2.BORDER_REFLECT_101)
    return np.ascontiguousarray(cv2.cvtColor(framed, code)[2:-2, 2:-2])


def _channels(image: RawImage, *, channels: int, bits: int, code: int | None) -> Rgb:
    """Interleaved channels of 8 or 16 bit; ``code`` is OpenCV's conversion to RGB, None for RGB itself."""
    pixels: Pixels = image.rows(image.width * channels * bits // 8)
    if bits == 16:
        pixels = pixels.view(">u2" if image.big_endian else "<u2").astype(np.uint16)
    pixels = pixels.reshape(image.height, image.width, channels)
    return to_8_bit(cv2.cvtColor(pixels, code) if code is not None else pixels.copy())


def _bayer(image: RawImage, *, bits: int, code: int) -> Rgb:
    """A mosaic of one 8 or 16 bit value a pixel."""
    pixels: Pixels = image.rows(image.width * bits // 8)
    if bits == 16:
        pixels = pixels.view(">u2" if image.big_endian else "<u2").astype(np.uint16)
    return to_8_bit(demosaic(pixels, code))


def _yuv_422(image: RawImage, *, code: int) -> Rgb:
    """Groups of four bytes, each of which is two pixels that share their chroma."""
    even_width = image.width + image.width % 2
    pairs = image.rows(2 * even_width).reshape(image.height, even_width, 2)
    return np.ascontiguousarray(cast(Rgb, cv2.cvtColor(pairs, code))[:, : image.width])


def _yuv_420(image: RawImage, *, code: int) -> Rgb:
    """A plane of luma, and one of interleaved chroma with half its rows and half its columns (rounded up)."""
    height, width = image.height, image.width
    chroma_height, chroma_width = (height + 1) // 2, (width + 1) // 2
    luma, chroma = _planes(
        image, chroma_height=chroma_height, chroma_row_bytes=2 * chroma_width, chroma_steps=1
    )
    # OpenCV wants even sizes.
    even_luma = cv2.copyMakeBorder(luma, 0, height % 2, 0, width % 2, cv2.BORDER_REPLICATE)
    rgb = cv2.cvtColorTwoPlane(even_luma, chroma.reshape(chroma_height, chroma_width, 2), code)
    return np.ascontiguousarray(cast(Rgb, rgb)[:height, :width])


def _yuv_444(image: RawImage) -> Rgb:
    """NV24: a plane of luma, and one of interleaved chroma with a pair for each pixel."""
    height, width = image.height, image.width
    luma, chroma = _planes(image, chroma_height=height, chroma_row_bytes=2 * width, chroma_steps=2)
    # OpenCV has no conversion for it. Each pixel, written as a YUYV pair of itself, has chroma of its own,
    # and goes through the very arithmetic of the other formats.
    pairs = np.empty((height, width, 2, 2), np.uint8)  # H W (first, second of the pair) (Y, chroma)
    pairs[..., 0] = luma[..., None]
    pairs[..., 1] = chroma.reshape(height, width, 2)
    rgb = cv2.cvtColor(pairs.reshape(height, 2 * width, 2), cv2.COLOR_YUV2RGB_YUYV)
    return np.ascontiguousarray(cast(Rgb, rgb)[:, ::2])


def _planes(
    image: RawImage, *, chroma_height: int, chroma_row_bytes: int, chroma_steps: int
) -> tuple[Bytes, Bytes]:
    """The luma plane (H, W) and the chroma plane (chroma_height, chroma_row_bytes).

    Drivers disagree about the step of an image of two planes: the bytes of a row of luma, all bytes over
    the number of rows, or, as sensor_msgs gives nv21 and nv24 two channels, twice the width. The latter two
    are told by data that is exactly as long as planes without padding.
    """
    height, width, step = image.height, image.width, image.step
    unpadded_size = width * height + chroma_row_bytes * chroma_height
    if image.data.size == unpadded_size and step in (2 * width, unpadded_size // height):
        luma_step, chroma_step = width, chroma_row_bytes
    else:
        luma_step, chroma_step = step, step * chroma_steps
    if luma_step < width or chroma_step < chroma_row_bytes:
        needed = max(width, -(-chroma_row_bytes // chroma_steps))
        raise ImageError(
            "wrong_step",
            f"step is {step} bytes, but rows of {width} pixels of {image.encoding} take at least {needed}",
        )
    # The chroma first: it lies last, so its error names the size of the whole.
    chroma = image.plane(luma_step * height, chroma_height, chroma_row_bytes, chroma_step)
    return image.plane(0, height, width, luma_step), chroma


# OpenCV names a Bayer pattern by the second and third pixel of its second row, ROS by the first two pixels
# of the first two rows; hence the crossed names (cv_bridge has the same).
BAYER_CODES: dict[str, int] = {
    f"bayer_{pattern}{bits}": code
    for bits in (8, 16)
    for pattern, code in (
        ("rggb", cv2.COLOR_BayerBG2RGB),
        ("bggr", cv2.COLOR_BayerRG2RGB),
        ("gbrg", cv2.COLOR_BayerGR2RGB),
        ("grbg", cv2.COLOR_BayerGB2RGB),
    )
}
"""OpenCV's conversion to RGB of each Bayer encoding."""

CONVERTERS: dict[str, Callable[[RawImage], Rgb]] = {
    "rgb8": partial(_channels, channels=3, bits=8, code=None),
    "bgr8": partial(_channels, channels=3, bits=8, code=cv2.COLOR_BGR2RGB),
    "rgba8": partial(_channels, channels=4, bits=8, code=cv2.COLOR_RGBA2RGB),
    "bgra8": partial(_channels, channels=4, bits=8, code=cv2.COLOR_BGRA2RGB),
    "rgb16": partial(_channels, channels=3, bits=16, code=None),
    "bgr16": partial(_channels, channels=3, bits=16, code=cv2.COLOR_BGR2RGB),
    "rgba16": partial(_channels, channels=4, bits=16, code=cv2.COLOR_RGBA2RGB),
    "bgra16": partial(_channels, channels=4, bits=16, code=cv2.COLOR_BGRA2RGB),
    "mono8": partial(_channels, channels=1, bits=8, code=cv2.COLOR_GRAY2RGB),
    "mono16": partial(_channels, channels=1, bits=16, code=cv2.COLOR_GRAY2RGB),
    "8UC1": partial(_channels, channels=1, bits=8, code=cv2.COLOR_GRAY2RGB),
    "8UC3": partial(_channels, channels=3, bits=8, code=cv2.COLOR_BGR2RGB),
    "16UC1": partial(_channels, channels=1, bits=16, code=cv2.COLOR_GRAY2RGB),
    "yuv422": partial(_yuv_422, code=cv2.COLOR_YUV2RGB_UYVY),
    "uyvy": partial(_yuv_422, code=cv2.COLOR_YUV2RGB_UYVY),
    "yuv422_yuy2": partial(_yuv_422, code=cv2.COLOR_YUV2RGB_YUYV),
    "yuyv": partial(_yuv_422, code=cv2.COLOR_YUV2RGB_YUYV),
    "nv12": partial(_yuv_420, code=cv2.COLOR_YUV2RGB_NV12),
    "nv21": partial(_yuv_420, code=cv2.COLOR_YUV2RGB_NV21),
    "nv24": _yuv_444,
    **{
        encoding: partial(_bayer, bits=16 if encoding.endswith("16") else 8, code=code)
        for encoding, code in BAYER_CODES.items()
    },
}
"""From the fields of a message to uint8 (H, W, 3), for each encoding."""
