"""Decoding sensor_msgs/CompressedImage."""

from __future__ import annotations

import struct
import zlib
from typing import Any

import cv2
import numpy as np
import numpy.typing as npt
import pytest

from step_ros.frames import ImageError, decode_compressed_image

HEIGHT, WIDTH = 48, 64


@pytest.fixture
def rgb() -> npt.NDArray[np.uint8]:
    """Red grows to the right, green downwards, blue is constant: smooth enough for JPEG."""
    y, x = np.mgrid[:HEIGHT, :WIDTH]
    return np.stack([x * 4, y * 5, np.full_like(x, 60)], -1).astype(np.uint8)


def encode(bgr: npt.NDArray[Any], extension: str) -> bytes:
    good, data = cv2.imencode(extension, bgr, [cv2.IMWRITE_JPEG_QUALITY, 95])
    assert good
    return bytes(data)


def png_header(width: int, height: int) -> bytes:
    """A PNG that says it is this large, and holds one byte."""

    def chunk(name: bytes, content: bytes) -> bytes:
        return (
            struct.pack(">I", len(content)) + name + content + struct.pack(">I", zlib.crc32(name + content))
        )

    header = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    return (
        b"\x89PNG\r\n\x1a\n"
        + chunk(b"IHDR", header)
        + chunk(b"IDAT", zlib.compress(b"\0"))
        + chunk(b"IEND", b"")
    )


def cause_of(messages: Any, data: bytes, image_format: str = "jpeg", **options: Any) -> tuple[str, str]:
    with pytest.raises(ImageError) as error:
        decode_compressed_image(messages.compressed_image(format=image_format, data=data), **options)
    return error.value.cause, str(error.value)


@pytest.mark.parametrize(
    "image_format", ["jpeg", "jpg", "JPEG", "rgb8; jpeg compressed bgr8", "bgr8; jpeg compressed bgr8"]
)
def test_jpeg(messages: Any, rgb: npt.NDArray[np.uint8], image_format: str) -> None:
    data = encode(rgb[..., ::-1], ".jpg")
    decoded = decode_compressed_image(messages.compressed_image(format=image_format, data=data))
    assert decoded.flags.c_contiguous and decoded.dtype == np.uint8
    assert np.abs(decoded.astype(int) - rgb).mean() < 3


@pytest.mark.parametrize("image_format", ["png", "rgb8; png compressed bgr8", "rgba8; png compressed bgr8"])
def test_png(messages: Any, rgb: npt.NDArray[np.uint8], image_format: str) -> None:
    data = encode(rgb[..., ::-1], ".png")
    decoded = decode_compressed_image(messages.compressed_image(format=image_format, data=data))
    np.testing.assert_array_equal(decoded, rgb)


def test_png_with_alpha(messages: Any, rgb: npt.NDArray[np.uint8]) -> None:
    data = encode(np.dstack([rgb[..., ::-1], rgb[..., 0]]), ".png")
    decoded = decode_compressed_image(messages.compressed_image(format="png", data=data))
    np.testing.assert_array_equal(decoded, rgb)


def test_png_of_16_bit(messages: Any, rgb: npt.NDArray[np.uint8]) -> None:
    values = rgb.astype(np.uint16) * 257 + 90
    data = encode(values[..., ::-1], ".png")
    message = messages.compressed_image(format="rgb16; png compressed bgr16", data=data)
    np.testing.assert_array_equal(decode_compressed_image(message), np.rint(values / 257))


@pytest.mark.parametrize("image_format", ["mono16; png compressed ", "16UC1; png compressed ", "png"])
def test_png_of_16_bit_grey(messages: Any, image_format: str) -> None:
    values = np.arange(65536, dtype=np.uint16).reshape(256, 256)
    message = messages.compressed_image(format=image_format, data=encode(values, ".png"))
    expected = np.rint(values / 257)[..., None].repeat(3, 2)
    np.testing.assert_array_equal(decode_compressed_image(message), expected)


def test_grey_jpeg(messages: Any, rgb: npt.NDArray[np.uint8]) -> None:
    data = encode(rgb[..., 0], ".jpg")
    message = messages.compressed_image(format="mono8; jpeg compressed mono8", data=data)
    decoded = decode_compressed_image(message)
    assert (decoded == decoded[..., :1]).all()
    assert np.abs(decoded[..., 0].astype(int) - rgb[..., 0]).mean() < 3


def test_png_of_a_bayer_image_is_demosaiced(messages: Any) -> None:
    mosaic = np.tile(np.array([[200, 100], [100, 50]], np.uint8), (HEIGHT // 2, WIDTH // 2))
    message = messages.compressed_image(format="bayer_rggb8; png compressed ", data=encode(mosaic, ".png"))
    assert (decode_compressed_image(message) == [200, 100, 50]).all()
    # A JPEG of it was made grey by image_transport, and says so.
    message = messages.compressed_image(
        format="bayer_rggb8; jpeg compressed mono8", data=encode(mosaic, ".jpg")
    )
    decoded = decode_compressed_image(message)
    assert (decoded == decoded[..., :1]).all()


def test_the_bytes_decide_between_jpeg_and_png(messages: Any, rgb: npt.NDArray[np.uint8]) -> None:
    message = messages.compressed_image(format="jpeg", data=encode(rgb[..., ::-1], ".png"))
    np.testing.assert_array_equal(decode_compressed_image(message), rgb)


def test_an_orientation_tag_turns_nothing(rosbags_messages: Any, rgb: npt.NDArray[np.uint8]) -> None:
    jpeg = encode(rgb[..., ::-1], ".jpg")
    tiff = b"MM\0*\0\0\0\x08" + struct.pack(">HHHIHH", 1, 0x0112, 3, 1, 6, 0) + bytes(4)  # turn by 90 degrees
    exif = b"Exif\0\0" + tiff
    data = jpeg[:2] + b"\xff\xe1" + struct.pack(">H", len(exif) + 2) + exif + jpeg[2:]
    decoded = decode_compressed_image(rosbags_messages.compressed_image(format="jpeg", data=data))
    assert decoded.shape == rgb.shape


@pytest.mark.parametrize(
    "image_format",
    [
        "",
        "h264",
        "tiff",
        "16UC1; compressedDepth png",
        "32FC1; compressedDepth",
        "16UC1; compressedDepth rvl",
    ],
)
def test_another_format_is_named(messages: Any, rgb: npt.NDArray[np.uint8], image_format: str) -> None:
    cause, said = cause_of(messages, encode(rgb, ".png"), image_format)
    assert cause == "unknown_encoding"
    assert repr(image_format) in said and "jpeg" in said


@pytest.mark.parametrize("extension", [".jpg", ".png"])
@pytest.mark.parametrize("kept", [0.01, 0.1, 0.5, 0.9, 0.99])
def test_a_file_cut_off_is_corrupt(
    rosbags_messages: Any, rgb: npt.NDArray[np.uint8], extension: str, kept: float
) -> None:
    data = encode(rgb, extension)
    cause, _ = cause_of(rosbags_messages, data[: int(len(data) * kept)])
    assert cause == "corrupt_compressed"


@pytest.mark.parametrize(
    ("data", "said"),
    [
        pytest.param(b"", "0 bytes", id="nothing"),
        pytest.param(b"GIF89a" + bytes(100), "47 49 46", id="another kind of file"),
        pytest.param(b"\xff\xd8\xff\xd9", "no frame header", id="a JPEG with nothing in it"),
        pytest.param(b"\xff\xd8" + bytes(100), "no marker", id="a JPEG of zeros"),
        pytest.param(b"\x89PNG\r\n\x1a\n" + bytes(100), "no header chunk", id="a PNG of zeros"),
        pytest.param(png_header(0, 10), "0x10", id="a PNG without columns"),
        pytest.param(png_header(10, 10), "10x10", id="a PNG without pixels"),
    ],
)
def test_what_is_no_image_is_corrupt(rosbags_messages: Any, data: bytes, said: str) -> None:
    cause, message = cause_of(rosbags_messages, data)
    assert cause == "corrupt_compressed"
    assert said in message


def test_a_jpeg_with_a_broken_header_is_corrupt(rosbags_messages: Any, rgb: npt.NDArray[np.uint8]) -> None:
    data = bytearray(encode(rgb, ".jpg"))
    tables = data.index(b"\xff\xc4")
    data[tables + 4 : tables + 60] = b"\xff" * 56
    assert cause_of(rosbags_messages, bytes(data))[0] == "corrupt_compressed"


def test_a_thumbnails_end_is_not_the_images(rosbags_messages: Any, rgb: npt.NDArray[np.uint8]) -> None:
    jpeg = encode(rgb, ".jpg")
    thumbnail = encode(rgb[:8, :8], ".jpg")
    data = jpeg[:2] + b"\xff\xe1" + struct.pack(">H", len(thumbnail) + 2) + thumbnail + jpeg[2:]
    decode_compressed_image(rosbags_messages.compressed_image(format="jpeg", data=data))
    assert "cut off" in cause_of(rosbags_messages, data[:-2])[1]


def test_a_png_whose_chunk_claims_more_than_the_file_has_is_not_decoded(
    rosbags_messages: Any, rgb: npt.NDArray[np.uint8], monkeypatch: pytest.MonkeyPatch
) -> None:
    """OpenCV would take the memory that it claims, 4 GB, before it looks."""
    data = bytearray(encode(rgb, ".png"))
    data[33:37] = b"\xff\xff\xff\x03"
    monkeypatch.setattr(cv2, "imdecode", lambda *_: pytest.fail("it was decoded"))
    cause, message = cause_of(rosbags_messages, bytes(data))
    assert cause == "corrupt_compressed" and "has no end chunk" in message


def test_a_huge_png_is_refused_before_it_is_decoded(
    rosbags_messages: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    def decode(*_: Any) -> None:
        raise AssertionError("decoded")

    monkeypatch.setattr(cv2, "imdecode", decode)
    cause, said = cause_of(rosbags_messages, png_header(60_000, 60_000), "png")
    assert cause == "too_large"
    assert "60000x60000" in said and "64000000" in said


def test_a_huge_jpeg_is_refused_before_it_is_decoded(
    rosbags_messages: Any, rgb: npt.NDArray[np.uint8], monkeypatch: pytest.MonkeyPatch
) -> None:
    data = bytearray(encode(rgb, ".jpg"))
    frame = data.index(b"\xff\xc0")
    data[frame + 5 : frame + 9] = struct.pack(">HH", 60_000, 50_000)
    monkeypatch.delattr(cv2, "imdecode")
    cause, said = cause_of(rosbags_messages, bytes(data))
    assert cause == "too_large"
    assert "50000x60000" in said


def test_the_limit_on_pixels_is_the_callers(rosbags_messages: Any, rgb: npt.NDArray[np.uint8]) -> None:
    data = encode(rgb, ".png")
    message = rosbags_messages.compressed_image(format="png", data=data)
    assert decode_compressed_image(message, max_pixels=HEIGHT * WIDTH).shape == rgb.shape
    assert cause_of(rosbags_messages, data, max_pixels=HEIGHT * WIDTH - 1)[0] == "too_large"
