"""A bag with images and label topics becomes clips, and its frames tokens."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
import pytest

from step_ros.frames.bags.messages import (
    CLASSIFICATION,
    STRING,
    classification,
    compressed_image,
    label_info,
    string,
)
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


def recorded(path: Path, *labels: tuple[str, float, object]) -> Path:
    """Three seconds of images at 10 Hz, and messages on topics, each at a time in seconds."""
    with new_bag(path) as bag:
        for index in range(30):
            _, png = cv2.imencode(".png", np.zeros((8, 8, 3), np.uint8))
            at = START + index * 100_000_000
            bag.write("/image", at, compressed_image(png, "png", at))
        for topic, seconds, message in labels:
            bag.write(topic, START + round(seconds * 1e9), message)
    return path


def says(label: str | None, seconds: float) -> object:
    results = [] if label is None else [(label, 1.0)]
    return classification(results, START + round(seconds * 1e9))


def test_an_empty_result_ends_a_label(tmp_path: Path) -> None:
    bag = recorded(
        tmp_path / "bag",
        ("/truth/verb", 0.0, says("open", 0.0)),
        ("/truth/verb", 1.0, says(None, 1.0)),
        ("/truth/verb", 2.0, says("close", 2.0)),
        ("/truth/thing", 0.5, string("cup")),
        ("/truth/thing", 1.5, string("")),
    )
    assert [(clip.start, clip.end, clip.labels) for clip in read_dataset(bag).clips] == [
        (0.0, 0.5, {"verb": "open"}),
        (0.5, 1.0, {"verb": "open", "thing": "cup"}),
        (1.0, 1.5, {"thing": "cup"}),
        (2.0, None, {"verb": "close"}),
    ]


def test_a_label_said_again_is_one_clip(tmp_path: Path) -> None:
    bag = recorded(
        tmp_path / "bag",
        *(("/truth/verb", at, says("open" if at < 1 else "close", at)) for at in (0, 0.5, 1, 2)),
    )
    assert [(clip.start, clip.end) for clip in read_dataset(bag).clips] == [(0.0, 1.0), (1.0, None)]


def test_what_a_perception_node_answered_is_no_label(tmp_path: Path) -> None:
    answers = [
        ("/perception/verb", 0.2, says("close", 0.2)),
        ("/perception/verb/stable", 0.3, says("close", 0.3)),
        ("/perception/verb/labels", 0.0, label_info(["open", "close"], 0.0, START)),
    ]
    labelled = recorded(tmp_path / "labelled", ("/truth/verb", 0.0, says("open", 0.0)), *answers)
    clip_set = read_dataset(labelled)
    assert [(clip.start, clip.end, clip.labels) for clip in clip_set.clips] == [(0.0, None, {"verb": "open"})]
    assert list(clip_set.tasks) == ["verb"]
    with pytest.raises(
        ClipsError, match="has no label topics .* but the answers of a perception node: /perception/verb, "
    ):
        read_dataset(recorded(tmp_path / "answered", *answers))


def test_two_topics_of_one_task_are_named(tmp_path: Path) -> None:
    bag = recorded(
        tmp_path / "bag", ("/a/verb", 0.0, says("open", 0.0)), ("/b/verb", 1.0, says("close", 1.0))
    )
    with pytest.raises(ClipsError, match="/a/verb and /b/verb both tell of the task verb"):
        read_dataset(bag)
