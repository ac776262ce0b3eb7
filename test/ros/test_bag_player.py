"""The bag player: the recorded bytes, with stamps of now or with the recording's own."""

from __future__ import annotations

import signal
import time
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from rosgraph_msgs.msg import Clock
from sensor_msgs.msg import CompressedImage
from vision_msgs.msg import Classification

from step_ros.frames.bags.messages import COMPRESSED_IMAGE, STRING, compressed_image, typestore
from step_ros.frames.bags.recording import read_messages, read_stamp, read_topics, write_stamp
from step_ros.frames.bags.writing import new_bag
from step_ros.ros.messages import nanoseconds_of


def test_messages_of_all_topics_come_in_the_order_of_recording(recording: Any) -> None:
    topics = [topic.name for topic in read_topics(recording.path)]
    messages = list(read_messages(recording.path, topics))
    times = [message.log_time_ns for message in messages]
    assert times == sorted(times)
    images = [message for message in messages if message.topic.startswith("/camera")]
    assert [read_stamp(message.cdr) for message in images] == recording.stamps_ns
    assert len(messages) == len(images) + 2 * len(recording.truth_onsets_ns)


@pytest.mark.parametrize("little_endian", [True, False], ids=["little-endian", "big-endian"])
def test_only_the_stamp_changes(little_endian: bool) -> None:
    store = typestore()
    message = compressed_image(np.arange(7, dtype=np.uint8), "jpeg", 12_000_000_034, "camera")
    cdr = bytes(store.serialize_cdr(message, COMPRESSED_IMAGE, little_endian=little_endian))
    assert read_stamp(cdr) == 12_000_000_034
    patched = store.deserialize_cdr(write_stamp(cdr, 1_700_000_000_123_456_789), COMPRESSED_IMAGE)
    assert (patched.header.stamp.sec, patched.header.stamp.nanosec) == (1_700_000_000, 123_456_789)
    assert (patched.header.frame_id, patched.format) == ("camera", "jpeg")
    assert patched.data.tolist() == list(range(7))


def test_a_message_too_short_for_a_header_is_refused() -> None:
    with pytest.raises(ValueError, match="12 bytes"):
        read_stamp(b"\x00\x01\x00\x00\x01")


def test_the_recorded_quality_of_service_is_read(tmp_path: Path) -> None:
    with new_bag(tmp_path / "bag") as bag:
        bag.add_topic("/map", STRING, latched=True)
        bag.add_topic("/words", STRING, latched=False)
        bag.add_topic("/unknown", STRING)
    found = {topic.name: (topic.reliable, topic.latched) for topic in read_topics(tmp_path / "bag")}
    assert found == {"/map": (True, True), "/words": (True, False), "/unknown": (None, None)}


def test_a_playback_happens_now(graph: Any, recording: Any) -> None:
    images = graph.client.listen(CompressedImage, "camera/compressed")
    truth = graph.client.listen(Classification, "truth/object", latched=True)
    before_ns = time.time_ns()
    player = graph.start_player(recording, "--rate", "4")
    assert graph.spin_until_exit(player) == 0, player.output
    after_ns = time.time_ns()
    stamps_ns = np.array([nanoseconds_of(image.header.stamp) for image in images])
    assert len(images) == len(recording.stamps_ns)
    assert before_ns < stamps_ns[0] < stamps_ns[-1] < after_ns
    expected_ns = (np.array(recording.stamps_ns) - recording.stamps_ns[0]) / 4
    assert np.abs(stamps_ns - stamps_ns[0] - expected_ns).max() <= 1
    assert {image.header.frame_id for image in images} == {recording.frame_id}
    # The truth moves with the images: every onset still is the stamp of the same image.
    onsets_ns = [nanoseconds_of(message.header.stamp) for message in truth]
    positions = [recording.stamps_ns.index(onset_ns) for onset_ns in recording.truth_onsets_ns]
    assert onsets_ns == stamps_ns[positions].tolist()


def test_a_playback_with_the_recordings_time_brings_a_clock(graph: Any, short_recording: Any) -> None:
    images = graph.client.listen(CompressedImage, "camera/compressed")
    clock = graph.client.listen(Clock, "/clock")
    player = graph.start_player(short_recording, "--no-restamp")
    assert graph.spin_until_exit(player) == 0, player.output
    assert [nanoseconds_of(image.header.stamp) for image in images] == short_recording.stamps_ns
    times_ns = [nanoseconds_of(message.clock) for message in clock]
    assert times_ns == sorted(times_ns) and len(times_ns) > len(images)
    assert short_recording.stamps_ns[0] - 10**9 < times_ns[0]
    assert times_ns[-1] == short_recording.stamps_ns[-1]


def test_a_loop_goes_on_until_it_is_stopped(graph: Any, short_recording: Any) -> None:
    images = graph.client.listen(CompressedImage, "camera/compressed")
    player = graph.start_player(short_recording, "--loop")
    graph.wait_for(lambda: len(images) > len(short_recording.stamps_ns), "the second time round")
    player.signal(signal.SIGINT)
    assert graph.spin_until_exit(player) == 0, player.output
    stamps_ns = [nanoseconds_of(image.header.stamp) for image in images]
    assert stamps_ns == sorted(stamps_ns)
    assert "Traceback" not in player.output


def test_no_bag_is_an_error_in_words(graph: Any) -> None:
    player = graph.start("step_ros.ros.bag_player", "/nowhere")
    assert player.wait() == 1
    assert "/nowhere does not exist" in player.output and "Traceback" not in player.output
