"""The message types of recordings are those of a real ROS."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from rosbags.rosbag2 import Reader

from step_ros.frames.bags.messages import classification, stamp_ns_of, typestore


@pytest.mark.parametrize(
    ("name", "type_hash"),
    [
        # As Jazzy's own packages print it; the hash covers the fields and the types of all they are made of.
        ("Classification", "RIHS01_f74db28d0eaef3afb78f48bf2161cd709a1383a0309d3454383b25be11345143"),
    ],
)
def test_the_vision_msgs_are_the_real_ones(name: str, type_hash: str) -> None:
    assert typestore().hash_rihs01(f"vision_msgs/msg/{name}") == type_hash


@pytest.mark.parametrize(
    "name", ["Classification", "ObjectHypothesis", "LabelInfo", "VisionClass", "VisionInfo"]
)
def test_the_vision_msgs_are_those_of_this_ros(name: str) -> None:
    vision_msgs = pytest.importorskip("vision_msgs.msg", reason="vision_msgs is not installed")
    fields = getattr(vision_msgs, name).get_fields_and_field_types()
    ours = typestore().fielddefs[f"vision_msgs/msg/{name}"][1]
    assert list(fields) == [field for field, _ in ours]


def test_a_classification_goes_through_a_bag(write_bag: Callable[..., Path]) -> None:
    bag = write_bag([("/truth/object", 1, classification([("pick_up_cup", 0.75)], 1))])
    with Reader(bag) as reader:
        ((connection, _, data),) = reader.messages()
        read: Any = typestore().deserialize_cdr(data, connection.msgtype)
    assert (read.results[0].class_id, read.results[0].score) == ("pick_up_cup", 0.75)


def test_a_message_that_nobody_stamped_is_of_when_it_was_recorded() -> None:
    assert stamp_ns_of(classification([], 5_000_000_007), 9) == 5_000_000_007
    assert stamp_ns_of(classification([], 0), 9) == 9
