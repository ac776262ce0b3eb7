"""Recordings are written with topics, QoS and messages as they were given, whole or not at all."""

from __future__ import annotations

from pathlib import Path

import pytest
from rosbags.rosbag2 import Reader, StoragePlugin, WriterError

from step_ros.frames.bags.messages import CLASSIFICATION, STRING, classification, string, typestore
from step_ros.frames.bags.recording import read_messages, read_topics
from step_ros.frames.bags.writing import new_bag, new_mcap_file


@pytest.mark.parametrize("storage", list(StoragePlugin))
def test_messages_and_topics_come_back(storage: StoragePlugin, tmp_path: Path) -> None:
    said = classification([("cup", 0.75)], 5, "camera")
    with new_bag(tmp_path / "bag", storage=storage) as bag:
        bag.add_topic("/empty", STRING, latched=True)
        bag.write("/label", 6, said)
        bag.write_cdr("/copy", CLASSIFICATION, 7, typestore().serialize_cdr(said, CLASSIFICATION))
    offers = {
        topic.name: (topic.msgtype, topic.reliable, topic.latched) for topic in read_topics(tmp_path / "bag")
    }
    assert offers == {
        "/copy": (CLASSIFICATION, None, None),
        "/empty": (STRING, True, True),
        "/label": (CLASSIFICATION, None, None),
    }
    label, copy = read_messages(tmp_path / "bag", list(offers))
    assert (label.topic, label.log_time_ns, copy.topic, copy.log_time_ns) == ("/label", 6, "/copy", 7)
    assert label.cdr == copy.cdr
    read = typestore().deserialize_cdr(label.cdr, CLASSIFICATION)
    assert read == said


def test_topics_lie_in_the_order_in_which_they_were_added(tmp_path: Path) -> None:
    with new_bag(tmp_path / "bag") as bag:
        bag.add_topic("/z", STRING)
        bag.write("/a", 1, string("first"))
        bag.write("/z", 2, string("second"))
    with Reader(tmp_path / "bag") as reader:
        assert [connection.topic for connection in reader.connections] == ["/z", "/a"]


def test_a_recording_is_never_written_over(tmp_path: Path) -> None:
    (tmp_path / "bag").mkdir()
    with pytest.raises(WriterError, match="exists already"), new_bag(tmp_path / "bag"):
        pass


def test_a_file_is_there_when_all_of_it_is(tmp_path: Path) -> None:
    path = tmp_path / "said.mcap"
    with new_mcap_file(path) as bag:
        bag.write("/words", 1, string("old"))
        assert not path.exists()
    assert [path] == list(tmp_path.iterdir())
    old = path.read_bytes()
    with pytest.raises(ZeroDivisionError), new_mcap_file(path) as bag:
        bag.write("/words", 1, string("new"))
        raise ZeroDivisionError
    assert path.read_bytes() == old
    assert [path] == list(tmp_path.iterdir())
