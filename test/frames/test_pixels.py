"""The pixels of a sensor_msgs/Image, in every encoding, and what is wrong with those that have none."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt
import pytest

from step_ros.frames import ImageError, decode_image

Array = npt.NDArray[Any]

HEIGHT, WIDTH = 6, 8
CHANNELS_8 = {
    "rgb8": (0, 1, 2),
    "bgr8": (2, 1, 0),
    "8UC3": (2, 1, 0),
    "rgba8": (0, 1, 2),
    "bgra8": (2, 1, 0),
}
CHANNELS_16 = {"rgb16": (0, 1, 2), "bgr16": (2, 1, 0), "rgba16": (0, 1, 2), "bgra16": (2, 1, 0)}
GREY_8, GREY_16 = ("mono8", "8UC1"), ("mono16", "16UC1")
BAYER = ("rggb", "bggr", "gbrg", "grbg")
YUV_422 = {"uyvy": (1, 0, 2), "yuv422": (1, 0, 2), "yuyv": (0, 1, 3), "yuv422_yuy2": (0, 1, 3)}
EVERY_ENCODING = (
    *CHANNELS_8,
    *CHANNELS_16,
    *GREY_8,
    *GREY_16,
    *YUV_422,
    "nv12",
    "nv21",
    "nv24",
    *(f"bayer_{pattern}{bits}" for pattern in BAYER for bits in (8, 16)),
)


def row_bytes(encoding: str, width: int) -> int:
    """Bytes of a row (of luma, where there are planes) without padding."""
    channels = 4 if "a" in encoding.split("bayer")[0] and encoding[0] in "rb" else 1
    if encoding in ("rgb8", "bgr8", "8UC3", "rgb16", "bgr16"):
        channels = 3
    if encoding in YUV_422:
        channels = 2
    return width * channels * (2 if "16" in encoding else 1)


def data_size(encoding: str, height: int, step: int) -> int:
    planes = {"nv12": 3, "nv21": 3, "nv24": 6}.get(encoding, 2)
    return step * height * planes // 2


def bt601(luma: Array, cb: Array, cr: Array) -> Array:
    """ITU-R BT.601 with limited range, from its constants alone (kr, kb = 0.299, 0.114)."""
    y = (np.maximum(luma.astype(float), 16) - 16) / 219
    pb, pr = (cb.astype(float) - 128) / 224, (cr.astype(float) - 128) / 224
    red, blue = y + 2 * (1 - 0.299) * pr, y + 2 * (1 - 0.114) * pb
    green = (y - 0.299 * red - 0.114 * blue) / 0.587
    rgb: Array = np.clip(255 * np.stack([red, green, blue], -1), 0, 255)
    return rgb


@pytest.fixture
def random() -> np.random.Generator:
    return np.random.default_rng(3)


def image(messages: Any, encoding: str, data: Array, **fields: Any) -> Any:
    """A message of ``data``, its rows joined without padding unless ``fields`` say otherwise."""
    fields = {"height": HEIGHT, "width": WIDTH, "is_bigendian": 0, **fields}
    fields.setdefault("step", row_bytes(encoding, fields["width"]))
    return messages.image(encoding=encoding, data=data.tobytes(), **fields)


@pytest.mark.parametrize(("encoding", "order"), CHANNELS_8.items())
def test_8_bit_colour(messages: Any, random: np.random.Generator, encoding: str, order: Any) -> None:
    data = random.integers(0, 256, (HEIGHT, row_bytes(encoding, WIDTH)), np.uint8)
    rgb = decode_image(image(messages, encoding, data))
    expected = data.reshape(HEIGHT, WIDTH, -1)[..., list(order)]
    np.testing.assert_array_equal(rgb, expected)


@pytest.mark.parametrize("big_endian", [False, True])
@pytest.mark.parametrize(("encoding", "order"), CHANNELS_16.items())
def test_16_bit_colour_is_scaled_to_the_nearest(
    messages: Any, random: np.random.Generator, encoding: str, order: Any, big_endian: bool
) -> None:
    values = random.integers(0, 65536, (HEIGHT, WIDTH, 4 if "a" in encoding else 3), np.uint16)
    values.flat[:4] = [0, 128, 129, 65535]
    data = values.astype(">u2" if big_endian else "<u2")
    rgb = decode_image(image(messages, encoding, data, is_bigendian=int(big_endian)))
    np.testing.assert_array_equal(rgb, np.rint(values[..., list(order)] / 257))


@pytest.mark.parametrize("encoding", GREY_8)
def test_8_bit_grey(messages: Any, random: np.random.Generator, encoding: str) -> None:
    data = random.integers(0, 256, (HEIGHT, WIDTH), np.uint8)
    np.testing.assert_array_equal(decode_image(image(messages, encoding, data)), data[..., None].repeat(3, 2))


@pytest.mark.parametrize("big_endian", [False, True])
@pytest.mark.parametrize("encoding", GREY_16)
def test_every_16_bit_grey(messages: Any, encoding: str, big_endian: bool) -> None:
    values = np.arange(65536, dtype=np.uint16).reshape(256, 256)
    data = values.astype(">u2" if big_endian else "<u2")
    rgb = decode_image(
        image(messages, encoding, data, height=256, width=256, step=512, is_bigendian=int(big_endian))
    )
    np.testing.assert_array_equal(rgb, np.rint(values / 257)[..., None].repeat(3, 2))


@pytest.mark.parametrize(("encoding", "places"), YUV_422.items())
def test_yuv_422_has_ros_byte_order(
    messages: Any, random: np.random.Generator, encoding: str, places: tuple[int, int, int]
) -> None:
    groups = random.integers(0, 256, (HEIGHT, WIDTH // 2, 4), np.uint8)
    first, cb, cr = places
    luma = groups[..., [first, first + 2]].reshape(HEIGHT, WIDTH)
    expected = bt601(luma, groups[..., cb].repeat(2, 1), groups[..., cr].repeat(2, 1))
    rgb = decode_image(image(messages, encoding, groups))
    np.testing.assert_allclose(rgb, expected, atol=1.01)


@pytest.mark.parametrize("encoding", ["nv12", "nv21", "nv24"])
def test_yuv_planes(messages: Any, random: np.random.Generator, encoding: str) -> None:
    luma = random.integers(0, 256, (HEIGHT, WIDTH), np.uint8)
    shrink = 1 if encoding == "nv24" else 2
    chroma = random.integers(0, 256, (HEIGHT // shrink, WIDTH // shrink, 2), np.uint8)
    full = chroma.repeat(shrink, 0).repeat(shrink, 1)
    cb, cr = (full[..., 1], full[..., 0]) if encoding == "nv21" else (full[..., 0], full[..., 1])
    data = np.concatenate([luma.ravel(), chroma.ravel()])
    rgb = decode_image(image(messages, encoding, data))
    np.testing.assert_allclose(rgb, bt601(luma, cb, cr), atol=1.01)
    # The other ways in which drivers count the step of such an image.
    for step in (2 * WIDTH, data.size // HEIGHT):
        np.testing.assert_array_equal(decode_image(image(messages, encoding, data, step=step)), rgb)


@pytest.mark.parametrize("encoding", [*YUV_422, "nv12", "nv21", "nv24"])
def test_red_is_red(rosbags_messages: Any, encoding: str) -> None:
    luma, cb, cr = 81, 90, 240  # BT.601's red
    if encoding in YUV_422:
        group = [cb, luma, cr, luma] if YUV_422[encoding][0] == 1 else [luma, cb, luma, cr]
        data = np.tile(np.array(group, np.uint8), HEIGHT * WIDTH // 2)
    else:
        pairs = HEIGHT * WIDTH // (1 if encoding == "nv24" else 4)
        pair = [cr, cb] if encoding == "nv21" else [cb, cr]
        data = np.array([luma] * (HEIGHT * WIDTH) + pair * pairs, np.uint8)
    rgb = decode_image(image(rosbags_messages, encoding, data))
    assert np.abs(rgb.astype(int) - [255, 0, 0]).max() <= 2


@pytest.mark.parametrize("encoding", ["nv12", "nv21"])
def test_odd_sizes_of_yuv_420(rosbags_messages: Any, random: np.random.Generator, encoding: str) -> None:
    height, width, step = 5, 7, 8
    luma = random.integers(0, 256, (height, step), np.uint8)
    chroma = random.integers(0, 256, (3, step // 2, 2), np.uint8)
    full = chroma.repeat(2, 0).repeat(2, 1)[:height, :width]
    cb, cr = (full[..., 1], full[..., 0]) if encoding == "nv21" else (full[..., 0], full[..., 1])
    data = np.concatenate([luma.ravel(), chroma.ravel()])
    rgb = decode_image(image(rosbags_messages, encoding, data, height=height, width=width, step=step))
    np.testing.assert_allclose(rgb, bt601(luma[:, :width], cb, cr), atol=1.01)


def test_odd_width_of_yuv_422(rosbags_messages: Any, random: np.random.Generator) -> None:
    groups = random.integers(0, 256, (2, 2, 4), np.uint8)
    expected = bt601(
        groups[..., [0, 2]].reshape(2, 4), groups[..., 1].repeat(2, 1), groups[..., 3].repeat(2, 1)
    )
    rgb = decode_image(image(rosbags_messages, "yuyv", groups, height=2, width=3, step=8))
    np.testing.assert_allclose(rgb, expected[:, :3], atol=1.01)


@pytest.mark.parametrize("bits", [8, 16])
@pytest.mark.parametrize("pattern", BAYER)
def test_bayer(messages: Any, random: np.random.Generator, pattern: str, bits: int) -> None:
    mosaic = random.integers(0, 2**bits, (HEIGHT, WIDTH), np.uint16 if bits == 16 else np.uint8)
    encoding = f"bayer_{pattern}{bits}"
    rgb = decode_image(image(messages, encoding, mosaic))
    # What a pixel measured is what it keeps (OpenCV copies the outermost pixels from their neighbours).
    places = np.array(["rgb".index(colour) for colour in pattern]).reshape(2, 2)
    colours = np.tile(places, (HEIGHT // 2, WIDTH // 2))[..., None]
    kept = np.take_along_axis(rgb, colours, 2)[1:-1, 1:-1, 0]
    np.testing.assert_array_equal(kept, np.rint(mosaic / (257 if bits == 16 else 1))[1:-1, 1:-1])


@pytest.mark.parametrize("pattern", BAYER)
@pytest.mark.parametrize("size", [(2, 2), (2, 5), (5, 2), (3, 3), (6, 8)])
def test_bayer_of_one_colour_is_that_colour_up_to_the_edge(
    rosbags_messages: Any, pattern: str, size: tuple[int, int]
) -> None:
    colour = {"r": 200, "g": 100, "b": 50}
    cell = np.array([colour[name] for name in pattern], np.uint8).reshape(2, 2)
    mosaic = np.tile(cell, (4, 4))[: size[0], : size[1]]
    message = image(
        rosbags_messages, f"bayer_{pattern}8", mosaic, height=size[0], width=size[1], step=size[1]
    )
    assert (decode_image(message) == [200, 100, 50]).all()


@pytest.mark.parametrize("encoding", EVERY_ENCODING)
def test_padded_rows_change_nothing(messages: Any, random: np.random.Generator, encoding: str) -> None:
    step = row_bytes(encoding, WIDTH)
    tight = random.integers(0, 256, data_size(encoding, HEIGHT, step), np.uint8)
    padded_step = step + 5
    if encoding == "nv24":
        luma, chroma = tight[: HEIGHT * step], tight[HEIGHT * step :]
        padded = np.concatenate(
            [
                np.pad(luma.reshape(HEIGHT, step), ((0, 0), (0, 5)), constant_values=7).ravel(),
                np.pad(chroma.reshape(HEIGHT, 2 * step), ((0, 0), (0, 10)), constant_values=7).ravel(),
            ]
        )
    else:
        padded = np.pad(tight.reshape(-1, step), ((0, 0), (0, 5)), constant_values=7)
    np.testing.assert_array_equal(
        decode_image(image(messages, encoding, padded, step=padded_step)),
        decode_image(image(messages, encoding, tight)),
    )


@pytest.mark.parametrize("encoding", EVERY_ENCODING)
def test_the_pixels_are_their_own(rosbags_messages: Any, encoding: str) -> None:
    data = np.full(data_size(encoding, HEIGHT, row_bytes(encoding, WIDTH)), 9, np.uint8)
    message = image(rosbags_messages, encoding, data)
    rgb = decode_image(message)
    assert rgb.dtype == np.uint8
    assert rgb.shape == (HEIGHT, WIDTH, 3)
    assert rgb.flags.c_contiguous and rgb.flags.writeable
    assert not np.shares_memory(rgb, message.data)


@pytest.mark.parametrize("encoding", EVERY_ENCODING)
@pytest.mark.parametrize(
    ("changed", "cause", "said"),
    [
        pytest.param({"height": 0}, "zero_size", f"{WIDTH}x0", id="no rows"),
        pytest.param({"width": 0}, "zero_size", f"0x{HEIGHT}", id="no columns"),
        pytest.param({"step": 3}, "wrong_step", "step is 3 bytes", id="step below a row"),
        pytest.param({"step": 0}, "wrong_step", "step is 0 bytes", id="no step"),
        pytest.param({"height": HEIGHT + 2}, "truncated_data", "take", id="rows missing"),
        pytest.param({"height": 30_000, "width": 30_000}, "too_large", "900000000 pixels", id="too large"),
    ],
)
def test_a_bad_image_has_a_named_cause(
    rosbags_messages: Any, encoding: str, changed: dict[str, int], cause: str, said: str
) -> None:
    step = row_bytes(encoding, WIDTH)
    fields = {"height": HEIGHT, "width": WIDTH, "step": step, **changed}
    data = np.zeros(data_size(encoding, HEIGHT, step), np.uint8)
    with pytest.raises(ImageError) as error:
        decode_image(image(rosbags_messages, encoding, data, **fields))
    assert error.value.cause == cause
    assert said in str(error.value)


@pytest.mark.parametrize("encoding", EVERY_ENCODING)
def test_one_byte_missing_is_truncated(messages: Any, encoding: str) -> None:
    data = np.zeros(data_size(encoding, HEIGHT, row_bytes(encoding, WIDTH)), np.uint8)
    decode_image(image(messages, encoding, data))
    for size in (data.size - 1, 0):
        with pytest.raises(ImageError) as error:
            decode_image(image(messages, encoding, data[:size]))
        assert error.value.cause == "truncated_data"
        assert f"data holds {size} bytes" in str(error.value)
        assert f"take {data.size}" in str(error.value)


@pytest.mark.parametrize("encoding", ["", "RGB8", "32FC1", "64FC4", "jpeg", "16SC1", "8UC2"])
def test_an_unknown_encoding_is_named(messages: Any, encoding: str) -> None:
    with pytest.raises(ImageError) as error:
        decode_image(image(messages, encoding, np.zeros(4096, np.uint8), step=64))
    assert error.value.cause == "unknown_encoding"
    assert repr(encoding) in str(error.value)
    assert "bgr8" in str(error.value)


def test_the_limit_on_pixels_is_the_callers(rosbags_messages: Any) -> None:
    message = image(rosbags_messages, "mono8", np.zeros(HEIGHT * WIDTH, np.uint8))
    assert decode_image(message, max_pixels=HEIGHT * WIDTH).shape == (HEIGHT, WIDTH, 3)
    with pytest.raises(ImageError, match="max_pixels") as error:
        decode_image(message, max_pixels=HEIGHT * WIDTH - 1)
    assert error.value.cause == "too_large"


CV_BRIDGE = [
    name
    for name in EVERY_ENCODING
    if name not in ("8UC1", "8UC3", "16UC1", "uyvy", "yuyv", "nv12", "nv21", "nv24")  # it refuses these
]


@pytest.mark.parametrize("encoding", CV_BRIDGE)
def test_decoding_equals_cv_bridge(random: np.random.Generator, encoding: str) -> None:
    cv_bridge = pytest.importorskip("cv_bridge", reason="cv_bridge is not installed")
    sensor_msgs = pytest.importorskip("sensor_msgs.msg")
    data = random.integers(0, 256, data_size(encoding, HEIGHT, row_bytes(encoding, WIDTH)), np.uint8)
    message = sensor_msgs.Image(height=HEIGHT, width=WIDTH, encoding=encoding, data=data.tobytes())
    message.step = row_bytes(encoding, WIDTH)
    expected = cv_bridge.CvBridge().imgmsg_to_cv2(message, "rgb8")
    np.testing.assert_array_equal(decode_image(message), expected)
