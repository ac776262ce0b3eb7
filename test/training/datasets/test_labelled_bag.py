"""A bag with images and label topics becomes clips, and its frames tokens."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
import pytest
from rosbags.rosbag2 import Writer

from step_ros.frames.bags.reading import typestore
from step_ros.training.datasets import ClipsError, read_dataset
from step_ros.training.datasets.labelled_bag import read_frames

START = 1_700_000_000_000_000_000


def write_bag(path: Path, *, labelled: bool = True) -> Path:
    """30 frames at 10 Hz; the verb changes at 1 s, and the thing, told as a string, at 2 s."""
    store = typestore()
    types = store.types
    time, header = types["builtin_interfaces/msg/Time"], types["std_msgs/msg/Header"]
    image, text = types["sensor_msgs/msg/CompressedImage"], types["std_msgs/msg/String"]
    classification, hypothesis = (
        types[f"vision_msgs/msg/{name}"] for name in ("Classification", "ObjectHypothesis")
    )

    def stamp(at: int) -> object:
        return header(time(at // 10**9, at % 10**9), "camera")

    with Writer(path, version=9) as writer:
        topics = {
            name: (writer.add_connection(name, kind.__msgtype__, typestore=store), kind.__msgtype__)
            for name, kind in (("/image", image), ("/truth/verb", classification), ("/truth/thing", text))
        }

        def write(topic: str, at: int, message: object) -> None:
            connection, kind = topics[topic]
            writer.write(connection, at, store.serialize_cdr(message, kind))

        labels = {0: ("open", "cup"), 10: ("close", None), 20: (None, "box")} if labelled else {}
        for index in range(30):
            at = START + index * 100_000_000
            verb, thing = labels.get(index, (None, None))
            if verb:
                write("/truth/verb", at, classification(stamp(at), [hypothesis(verb, 1.0)]))
            if thing:
                write("/truth/thing", at, text(thing))
            _, jpeg = cv2.imencode(".png", np.full((8, 8, 3), index, np.uint8))
            write("/image", at, image(stamp(at), "png", jpeg.ravel()))
    return path


def test_labels_hold_until_the_next(tmp_path: Path) -> None:
    clip_set = read_dataset(write_bag(tmp_path / "bag"))
    assert [(clip.start, clip.end, clip.labels) for clip in clip_set.clips if len(clip.labels) == 2] == [
        (0.0, 1.0, {"verb": "open", "thing": "cup"}),
        (1.0, 2.0, {"verb": "close", "thing": "cup"}),
        (2.0, None, {"verb": "close", "thing": "box"}),
    ]
    assert clip_set.tasks["verb"].symmetric_pairs == [("close", "open")]


def test_frames_begin_at_zero(tmp_path: Path) -> None:
    frames = list(read_frames(write_bag(tmp_path / "bag")))
    assert [frame.stamp_ns for frame in frames] == [index * 100_000_000 for index in range(30)]
    assert int(frames[7].rgb[0, 0, 0]) == 7


def test_a_bag_without_labels_is_labelled_by_a_csv(tmp_path: Path) -> None:
    write_bag(tmp_path / "bag", labelled=False)
    with pytest.raises(ClipsError, match="has no label topics"):
        read_dataset(tmp_path / "bag")
    (tmp_path / "clips.csv").write_text("video,start,end,verb\nbag,0,1.5,open\nbag,1.5,,close\n")
    assert [clip.end for clip in read_dataset(tmp_path / "clips.csv").clips] == [1.5, None]
