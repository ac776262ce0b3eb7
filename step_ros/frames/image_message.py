"""From a ROS image message to RGB pixels."""

from __future__ import annotations

from typing import Any, Protocol

import cv2
import numpy as np
import numpy.typing as npt

from step_ros.bounded_text import bounded
from step_ros.frames.frame import Rgb
from step_ros.frames.image_error import ImageError
from step_ros.frames.image_header import check_whole, read_image_header
from step_ros.frames.pixels import BAYER_CODES, CONVERTERS, RawImage, demosaic, to_8_bit

MAX_PIXELS = 64_000_000
"""Images of more pixels than this are refused unless the caller asks otherwise: 8000 x 8000."""


class ImageMessage(Protocol):
    """The fields of sensor_msgs/Image that are read; rclpy's and rosbags' messages both have them."""

    @property
    def height(self) -> int:
        """Rows."""

    @property
    def width(self) -> int:
        """Columns."""

    @property
    def encoding(self) -> str:
        """One of the names in sensor_msgs/image_encodings."""

    @property
    def is_bigendian(self) -> int | bool:
        """Byte order of 16 bit channels."""

    @property
    def step(self) -> int:
        """Bytes from the start of a row to the start of the next one."""

    @property
    def data(self) -> Any:
        """The pixels: anything with the buffer protocol."""


class CompressedImageMessage(Protocol):
    """The fields of sensor_msgs/CompressedImage that are read."""

    @property
    def format(self) -> str:
        """What image_transport writes: ``"rgb8; jpeg compressed bgr8"``, or just ``"jpeg"``."""

    @property
    def data(self) -> Any:
        """The JPEG or PNG file: anything with the buffer protocol."""


def decode_image(message: ImageMessage, *, max_pixels: int = MAX_PIXELS) -> Rgb:
    """Decode a sensor_msgs/Image.

    Every encoding of sensor_msgs/image_encodings that carries colour or grey is understood: rgb, bgr, rgba,
    bgra, mono and Bayer in 8 and 16 bit; 8UC1, 8UC3 (blue first, as OpenCV has it) and 16UC1; yuv422 =
    uyvy, yuv422_yuy2 = yuyv, nv12, nv21, nv24 (BT.601, limited range). Rows may be padded. 16 bit values
    are scaled by 255/65535, alpha is dropped, grey is repeated: as cv_bridge does.

    Args:
        message: The message, from rclpy or from rosbags.
        max_pixels: Larger images are refused before anything is allocated.

    Returns:
        uint8 (H, W, 3), contiguous, with memory of its own.

    Raises:
        ImageError: With the cause zero_size, unknown_encoding, too_large, wrong_step or truncated_data.
    """
    height, width = int(message.height), int(message.width)
    if height <= 0 or width <= 0:
        raise ImageError(
            "zero_size", f"the image is {width}x{height} pixels (width x height); it must have at least one"
        )
    convert = CONVERTERS.get(message.encoding)
    if convert is None:
        raise ImageError(
            "unknown_encoding",
            f"the image's encoding is {bounded(message.encoding)!r}; understood are {', '.join(CONVERTERS)}",
        )
    _check_size(width, height, max_pixels)
    return convert(
        RawImage(
            height=height,
            width=width,
            step=int(message.step),
            big_endian=bool(message.is_bigendian),
            data=_bytes_of(message.data),
            encoding=message.encoding,
        )
    )


def decode_compressed_image(message: CompressedImageMessage, *, max_pixels: int = MAX_PIXELS) -> Rgb:
    """Decode a sensor_msgs/CompressedImage that holds a JPEG or a PNG.

    The size is read from the file's header first, so that a small message cannot ask for a huge image.
    Which of the two it is, is taken from the bytes; the format string only has to name one of them. A PNG
    of a raw Bayer image, which image_transport writes as ``"bayer_rggb8; png compressed "``, is demosaiced.
    16 bit values are scaled by 255/65535, alpha is dropped, grey is repeated. Orientation tags are ignored,
    as image_transport ignores them.

    Args:
        message: The message, from rclpy or from rosbags.
        max_pixels: Larger images are refused before they are decoded.

    Returns:
        uint8 (H, W, 3), contiguous, with memory of its own.

    Raises:
        ImageError: With the cause unknown_encoding (compressedDepth and whatever else is neither JPEG nor
            PNG), too_large or corrupt_compressed.
    """
    _check_format(message.format)
    data = _bytes_of(message.data)
    file = data.tobytes()
    header = read_image_header(file)
    _check_size(header.width, header.height, max_pixels)
    check_whole(header, file)
    mosaic = _mosaic_code(message.format)
    channels = cv2.IMREAD_COLOR if mosaic is None else cv2.IMREAD_GRAYSCALE
    try:
        pixels = cv2.imdecode(data, channels | cv2.IMREAD_ANYDEPTH | cv2.IMREAD_IGNORE_ORIENTATION)
    except cv2.error as error:
        raise ImageError(
            "corrupt_compressed", f"OpenCV cannot decode the {header.kind} of {data.size} bytes: {error}"
        ) from error
    if pixels is None or pixels.shape[:2] != (header.height, header.width):
        raise ImageError(
            "corrupt_compressed",
            f"OpenCV cannot decode the {header.kind} of {data.size} bytes, "
            f"{header.width}x{header.height} pixels: it is damaged",
        )
    return to_8_bit(cv2.cvtColor(pixels, cv2.COLOR_BGR2RGB) if mosaic is None else demosaic(pixels, mosaic))


def _check_size(width: int, height: int, max_pixels: int) -> None:
    if width * height > max_pixels:
        raise ImageError(
            "too_large",
            f"the image is {width}x{height} = {width * height} pixels, more than the {max_pixels} allowed; "
            "if this is a real camera, raise the limit: the node's max_image_pixels, in Python max_pixels",
        )


def _check_format(image_format: str) -> None:
    # compressedDepth puts a header of its own before the PNG, and depth is not colour.
    known = any(name in image_format.lower() for name in ("jpeg", "jpg", "png"))
    if not known or "compresseddepth" in image_format.lower():
        raise ImageError(
            "unknown_encoding",
            f"the compressed image's format is {bounded(image_format)!r}; understood are jpeg and png, alone "
            "or as image_transport writes them ('rgb8; jpeg compressed bgr8')",
        )


def _mosaic_code(image_format: str) -> int | None:
    """The demosaicing that a compressed image still needs, or None.

    image_transport's PNG keeps the pixels of any image that is not colour, and so leaves a Bayer image as
    it is; its JPEG converts to mono8 and says so.
    """
    encoding, _, compression = image_format.partition(";")
    return BAYER_CODES.get(encoding.strip()) if compression.strip() == "png compressed" else None


def _bytes_of(data: Any) -> npt.NDArray[np.uint8]:
    """The bytes of a message's data field, uint8 (N,), without a copy."""
    return np.frombuffer(data, np.uint8) if len(data) else np.empty(0, np.uint8)
