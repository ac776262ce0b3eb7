"""A bag with images and label topics becomes clips, and its frames tokens."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
import pytest

from step_ros.frames.bags.messages import CLASSIFICATION, STRING, classification, compressed_image, string
from step_ros.frames.bags.writing import new_bag
from step_ros.training.datasets import ClipsError, read_dataset
from step_ros.training.datasets.labelled_bag import read_frames

START = 1_700_000_000_000_000_000


def write_bag(path: Path, *, labelled: bool = True) -> Path:
    """30 frames at 10 Hz; the verb changes at 1 s, and the thing, told as a string, at 2 s."""
    labels = {0: ("open", "cup"), 10: ("close", None), 20: (None, "box")} if labelled else {}
    with new_bag(path) as bag:
        bag.add_topic("/truth/verb", CLASSIFICATION)
        bag.add_topic("/truth/thing", STRING)
        for index in range(30):
            at = START + index * 100_000_000
            verb, thing = labels.get(index, (None, None))
            if verb:
                bag.write("/truth/verb", at, classification([(verb, 1.0)], at))
            if thing:
                bag.write("/truth/thing", at, string(thing))
            _, png = cv2.imencode(".png", np.full((8, 8, 3), index, np.uint8))
            bag.write("/image", at, compressed_image(png, "png", at))
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
