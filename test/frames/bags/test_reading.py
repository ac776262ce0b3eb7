"""Reading the frames of bags."""

from __future__ import annotations

import logging
from collections.abc import Callable
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest

from step_ros.frames import BagError, image_topics, read_bag_frames
from step_ros.frames.bags.messages import (
    COMPRESSED_IMAGE,
    IMAGE,
    compressed_image,
    header,
    string,
    typestore,
)

T0 = 1_700_000_000_000_000_000
WriteBag = Callable[..., Path]


def image(stamp_ns: int, level: int, encoding: str = "bgr8") -> Any:
    """48x64, blue at ``level``, green 10, red 20."""
    data = np.tile(np.array([level, 10, 20], np.uint8), 48 * 64)
    return typestore().types[IMAGE](header(stamp_ns, "camera"), 48, 64, encoding, 0, 64 * 3, data)


def compressed(stamp_ns: int, level: int) -> Any:
    pixels = np.tile(np.array([level, 10, 20], np.uint8), (48, 64, 1))
    data = cv2.imencode(".png", pixels)[1]
    return compressed_image(data, "bgr8; png compressed bgr8", stamp_ns, "camera")


def recording(kind: Callable[..., Any] = image, count: int = 10) -> list[tuple[str, int, Any]]:
    """Frames at 10 Hz on /camera, recorded 5 ms after they were taken, between words on /words."""
    recorded = []
    for i in range(count):
        stamp_ns = T0 + i * 100_000_000
        recorded.append(("/words", stamp_ns, string("hello")))
        recorded.append(("/camera", stamp_ns + 5_000_000, kind(stamp_ns, i)))
    return recorded


@pytest.mark.parametrize("kind", [image, compressed])
@pytest.mark.parametrize(
    ("storage", "compression"),
    [
        ("mcap", "none"),
        ("mcap", "message"),
        ("mcap", "file"),
        ("mcap", "storage"),
        ("sqlite3", "none"),
        ("sqlite3", "message"),
        ("sqlite3", "file"),
    ],
)
def test_a_bag_comes_back(write_bag: WriteBag, kind: Any, storage: str, compression: str) -> None:
    bag = write_bag(recording(kind), storage=storage, compression=compression)
    assert image_topics(bag) == {"/camera": IMAGE if kind is image else COMPRESSED_IMAGE}
    frames = list(read_bag_frames(bag))
    assert [frame.stamp_ns for frame in frames] == [T0 + i * 100_000_000 for i in range(10)]
    for i, frame in enumerate(frames):
        assert frame.rgb.shape == (48, 64, 3)
        assert (frame.rgb == [20, 10, i]).all()


@pytest.mark.parametrize(("storage", "pattern"), [("mcap", "*.mcap"), ("sqlite3", "*.db3")])
def test_one_of_a_bags_files_will_do(write_bag: WriteBag, storage: str, pattern: str) -> None:
    (file,) = write_bag(recording(), storage=storage).glob(pattern)
    assert len(list(read_bag_frames(str(file), "/camera"))) == 10


def test_an_image_that_was_never_stamped_gets_its_log_time(write_bag: WriteBag) -> None:
    bag = write_bag([("/camera", T0 + i, image(0, i)) for i in range(3)])
    assert [frame.stamp_ns for frame in read_bag_frames(bag)] == [T0, T0 + 1, T0 + 2]


def test_the_topic_is_the_callers_choice(write_bag: WriteBag) -> None:
    recorded = [("/left", T0, image(T0, 1)), ("/right", T0, compressed(T0, 2))]
    bag = write_bag([*recorded, ("/words", T0, string("hello"))])
    assert image_topics(bag) == {"/left": IMAGE, "/right": COMPRESSED_IMAGE}
    assert [int(frame.rgb[0, 0, 2]) for frame in read_bag_frames(bag, "/right")] == [2]
    with pytest.raises(BagError, match="2 image topics; choose one of /left, /right"):
        read_bag_frames(bag)
    with pytest.raises(BagError, match="no topic /up; choose one of its image topics: /left, /right"):
        read_bag_frames(bag, "/up")
    with pytest.raises(BagError, match="std_msgs/msg/String on /words; choose"):
        read_bag_frames(bag, "/words")


def test_a_bag_without_images_says_what_it_holds(write_bag: WriteBag) -> None:
    bag = write_bag([("/words", T0, string("hello")), ("/words", T0 + 1, string("hello"))])
    assert image_topics(bag) == {}
    with pytest.raises(BagError, match=r"no topic with images .* /words \(std_msgs/msg/String, 2 messages\)"):
        read_bag_frames(bag)
    with pytest.raises(BagError, match="no topic at all"):
        read_bag_frames(write_bag([], name="empty"))


def test_a_bad_image_is_left_out_with_a_warning(
    write_bag: WriteBag, caplog: pytest.LogCaptureFixture
) -> None:
    recorded = recording()
    recorded[3] = ("/camera", T0, image(T0, 1, encoding="32FC1"))
    recorded[5] = ("/camera", T0, image(T0, 1, encoding="rgba8"))
    with caplog.at_level(logging.WARNING):
        assert len(list(read_bag_frames(write_bag(recorded)))) == 8
    assert "unknown_encoding" in caplog.text and "32FC1" in caplog.text
    assert "2 of 10 images on /camera were left out" in caplog.text


def test_a_topic_of_bad_images_only_is_an_error(write_bag: WriteBag) -> None:
    bag = write_bag([("/depth", T0 + i, image(T0, 1, encoding="32FC1")) for i in range(3)])
    with pytest.raises(BagError, match=r"none of the 3 images on /depth .* unknown_encoding"):
        list(read_bag_frames(bag))


def test_reading_may_stop_early(write_bag: WriteBag) -> None:
    frames = read_bag_frames(write_bag(recording()))
    assert next(frames).stamp_ns == T0
    del frames


def test_what_is_no_bag_is_named(tmp_path: Path) -> None:
    text = tmp_path / "notes.txt"
    text.write_text("hello")
    ros1 = tmp_path / "old.bag"
    ros1.write_bytes(b"#ROSBAG V2.0\n")
    folder = tmp_path / "folder"
    folder.mkdir()
    broken = tmp_path / "broken"
    broken.mkdir()
    (broken / "metadata.yaml").write_text("nothing: true")
    for path, said in [
        (tmp_path / "none", "does not exist"),
        (text, "not a ROS 2 bag"),
        (ros1, "rosbags-convert --src"),
        (folder, "not a ROS 2 bag"),
        (broken, "not a ROS 2 bag"),
    ]:
        for read in (image_topics, read_bag_frames):
            with pytest.raises(BagError, match=said) as error:
                read(path)
            assert str(path) in str(error.value)
