"""How large is the image in a JPEG or PNG file, without decoding it?"""

from __future__ import annotations

import struct
from dataclasses import dataclass

from step_ros.frames.image_error import ImageError

_PNG_SIGNATURE = b"\x89PNG\r\n\x1a\n"
_JPEG_SIGNATURE = b"\xff\xd8"
_PNG_END = b"IEND"
_JPEG_END = b"\xff\xd9"

# JPEG (ITU-T T.81, table B.1): all of C0-CF start a frame, but for DHT, JPG and DAC.
_START_OF_FRAME = frozenset(range(0xC0, 0xD0)) - {0xC4, 0xC8, 0xCC}
_START_OF_SCAN, _END_OF_IMAGE = 0xDA, 0xD9
_WITHOUT_LENGTH = frozenset(range(0xD0, 0xD9)) | {0x01}


@dataclass(frozen=True)
class ImageHeader:
    """What a JPEG's or PNG's header says of its image."""

    kind: str
    """``"JPEG"`` or ``"PNG"``."""

    width: int
    """Columns, at least 1."""

    height: int
    """Rows, at least 1."""

    length: int
    """Bytes of the file up to and with its size."""


def read_image_header(data: bytes) -> ImageHeader:
    """Read the size of the image in ``data``, a JPEG or PNG file.

    Raises:
        ImageError: With the cause corrupt_compressed.
    """
    if data.startswith(_PNG_SIGNATURE):
        header = _png_header(data)
    elif data.startswith(_JPEG_SIGNATURE):
        header = _jpeg_header(data)
    else:
        raise _corrupt(
            f"{len(data)} bytes beginning with {data[:8].hex(' ') or 'nothing'} are neither JPEG nor PNG"
        )
    if header.width == 0 or header.height == 0:
        raise _corrupt(f"the {header.kind}'s header says {header.width}x{header.height} pixels")
    return header


def check_whole(header: ImageHeader, data: bytes) -> None:
    """Refuse a file that was cut off, or whose parts claim more bytes than it has.

    Some versions of OpenCV would fill what is missing with grey, or take the memory that a PNG's chunk
    claims, up to 4 GB, before they look whether it is there.

    Raises:
        ImageError: With the cause corrupt_compressed.
    """
    if header.kind == "PNG":
        _check_png_chunks(data)
    # A thumbnail, with an end of its own, comes before the size.
    elif data.rfind(_JPEG_END, header.length) < 0:
        raise _corrupt(f"the JPEG of {len(data)} bytes has no end marker: it was cut off")


def _check_png_chunks(data: bytes) -> None:
    """Walk the chunks (length, type, data, checksum) up to the last (PNG specification, 5.3)."""
    at = len(_PNG_SIGNATURE)
    while at + 12 <= len(data):
        (length,) = struct.unpack_from(">I", data, at)
        if data[at + 4 : at + 8] == _PNG_END:
            return
        at += 12 + length
    raise _corrupt(f"the PNG of {len(data)} bytes has no end chunk: it is damaged or was cut off")


def _png_header(data: bytes) -> ImageHeader:
    if len(data) < 24 or data[12:16] != b"IHDR":
        raise _corrupt(f"the PNG of {len(data)} bytes has no header chunk")
    width, height = struct.unpack_from(">II", data, 16)
    return ImageHeader("PNG", width, height, length=24)


def _jpeg_header(data: bytes) -> ImageHeader:
    at = len(_JPEG_SIGNATURE)
    while at + 4 <= len(data):
        if data[at] != 0xFF:
            raise _corrupt(f"the JPEG has no marker at byte {at} of {len(data)}")
        marker = data[at + 1]
        if marker == 0xFF:  # any number of fill bytes may come before a marker
            at += 1
        elif marker in _WITHOUT_LENGTH:
            at += 2
        elif marker in (_START_OF_SCAN, _END_OF_IMAGE):
            break
        elif marker in _START_OF_FRAME:
            if at + 9 > len(data):
                break
            height, width = struct.unpack_from(">HH", data, at + 5)
            return ImageHeader("JPEG", width, height, length=at + 9)
        else:
            at += 2 + struct.unpack_from(">H", data, at + 2)[0]
    raise _corrupt(f"the JPEG of {len(data)} bytes has no frame header")


def _corrupt(message: str) -> ImageError:
    return ImageError("corrupt_compressed", message)
