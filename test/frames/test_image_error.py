"""Whatever arrives, decoding ends in pixels or in an ImageError with a known cause."""

from __future__ import annotations

import pickle
from types import SimpleNamespace
from typing import Any

import cv2
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from step_ros.frames import IMAGE_ERROR_CAUSES, ImageError, decode_compressed_image, decode_image
from step_ros.frames.pixels import CONVERTERS

ENCODINGS = st.sampled_from(sorted(CONVERTERS)) | st.text(max_size=12)
SMALL = st.integers(0, 40)
UINT32 = st.integers(0, 2**32 - 1)
FORMATS = st.sampled_from(["jpeg", "png", "rgb8; jpeg compressed bgr8", "bayer_gbrg16; png compressed "])


def decode_or_image_error(decode: Any, message: Any) -> None:
    try:
        rgb = decode(message, max_pixels=100_000)
    except ImageError as error:
        assert error.cause in IMAGE_ERROR_CAUSES
        assert str(error)
    else:
        assert rgb.dtype == np.uint8 and rgb.ndim == 3 and rgb.shape[2] == 3 and rgb.size > 0


@settings(max_examples=400, deadline=None)
@given(
    encoding=ENCODINGS,
    height=SMALL | UINT32,
    width=SMALL | UINT32,
    step=SMALL | st.integers(40, 400) | UINT32,
    big_endian=st.integers(0, 255),
    data=st.binary(max_size=200) | st.integers(0, 20_000).map(bytes),
)
def test_random_fields(
    encoding: str, height: int, width: int, step: int, big_endian: int, data: bytes
) -> None:
    message = SimpleNamespace(
        encoding=encoding, height=height, width=width, step=step, is_bigendian=big_endian, data=data
    )
    decode_or_image_error(decode_image, message)


@settings(max_examples=400, deadline=None)
@given(encoding=st.sampled_from(sorted(CONVERTERS)), height=st.integers(1, 9), width=st.integers(1, 9))
def test_every_small_size_is_decoded(encoding: str, height: int, width: int) -> None:
    message = SimpleNamespace(
        encoding=encoding, height=height, width=width, step=80, is_bigendian=0, data=bytes(80 * 30)
    )
    assert decode_image(message).shape == (height, width, 3)


@settings(max_examples=200, deadline=None)
@given(image_format=FORMATS | st.text(max_size=30), data=st.binary(max_size=300))
def test_random_bytes(image_format: str, data: bytes) -> None:
    decode_or_image_error(decode_compressed_image, SimpleNamespace(format=image_format, data=data))


@settings(max_examples=300, deadline=None)
@given(
    extension=st.sampled_from([".jpg", ".png"]),
    image_format=FORMATS,
    channels=st.sampled_from([1, 3]),
    changes=st.lists(st.tuples(st.integers(0, 2000), st.integers(0, 255)), max_size=12),
    cut=st.integers(0, 3000),
)
def test_images_with_bytes_changed_and_cut(
    extension: str, image_format: str, channels: int, changes: list[tuple[int, int]], cut: int
) -> None:
    picture = np.random.default_rng(0).integers(0, 256, (20, 30, channels), np.uint8)
    data = bytearray(cv2.imencode(extension, picture)[1].tobytes())
    for place, value in changes:
        data[place % len(data)] = value
    message = SimpleNamespace(format=image_format, data=bytes(data[: cut or None]))
    decode_or_image_error(decode_compressed_image, message)


def test_an_error_survives_pickling() -> None:
    error = pickle.loads(pickle.dumps(ImageError("wrong_step", "step is 3")))
    assert (error.cause, str(error)) == ("wrong_step", "step is 3")


@pytest.mark.parametrize("kind", [bytes, bytearray, memoryview, np.frombuffer])
def test_any_buffer_will_do(kind: Any) -> None:
    data = kind(b"\1\2\3\4\5\6") if kind is not np.frombuffer else np.frombuffer(b"\1\2\3\4\5\6", np.uint8)
    message = SimpleNamespace(encoding="bgr8", height=1, width=2, step=6, is_bigendian=0, data=data)
    assert decode_image(message).tolist() == [[[3, 2, 1], [6, 5, 4]]]
