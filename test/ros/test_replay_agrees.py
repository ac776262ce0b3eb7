"""Replay and the live node say the same of one recording."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from rosbags.rosbag2 import Reader
from vision_msgs.msg import Classification

from step_ros.frames import typestore
from step_ros.frames.bags.recording import read_topics
from step_ros.ros.messages import nanoseconds_of
from step_ros.runs.replay import choose_image_topic
from step_ros.runs.replay_run import TruthSource, replay_to_run
from step_ros.runs.settings import read_settings

Said = dict[int, list[tuple[str, float]]]
"""By stamp: labels and scores."""


def said(messages: list[Any]) -> Said:
    return {
        message.header.stamp.sec * 10**9 + message.header.stamp.nanosec: [
            (result.class_id, result.score) for result in message.results
        ]
        for message in messages
    }


def from_bag(path: Path, topic: str) -> list[Any]:
    with Reader(path) as reader:
        return [
            typestore().deserialize_cdr(data, connection.msgtype)
            for connection, _, data in reader.messages()
            if connection.topic == topic
        ]


def test_labels_scores_stamps_and_stable_labels_agree(
    graph: Any, recording: Any, models: Any, tmp_path: Path
) -> None:
    tasks = list(models.labels)
    live = {task: graph.client.listen(Classification, f"perception/{task}") for task in tasks}
    stable = {
        task: graph.client.listen(Classification, f"perception/{task}/stable", latched=True) for task in tasks
    }
    # Queues that lose nothing however busy this machine is; what is under test is what is said.
    graph.start_ready_node(
        *("image_transport:=compressed", "queue_size:=1000", "image_queue_size:=1000"),
        # Stamps are the recording's, and however slow this machine is, nothing is taken back.
        *("staleness.max_age:=0.0", "staleness.timeout:=3600.0"),
        image="camera",
    )
    player = graph.start_player(recording, "--no-restamp", "--rate", 0.5)
    graph.spin_until_exit(player)
    graph.settled_values()

    settings = read_settings(models=[str(head) for head in models.heads], engine="eager", device="cpu")
    topic = choose_image_topic(recording.path, None)
    out = tmp_path / "run"
    replay_to_run(recording.path, topic, settings.load(), settings, TruthSource(), out)

    for task in tasks:
        heard = {nanoseconds_of(m.header.stamp): m for m in live[task]}
        replayed = said(from_bag(out / "predictions.mcap", f"/perception/{task}"))
        node = said(live[task])
        # Under load the node may leave updates out, but what it says of a window is the same.
        assert len(node) >= 0.9 * len(replayed) > 20
        assert set(node) <= set(replayed)
        agreeing = sum(node[stamp][0][0] == replayed[stamp][0][0] for stamp in node)
        assert agreeing >= 0.995 * len(node)
        for stamp, results in node.items():
            scores = [score for _, score in replayed[stamp]]
            assert [score for _, score in results] == pytest.approx(scores, abs=1e-3)
        assert {m.header.frame_id for m in heard.values()} == {recording.frame_id}
        changes = said(from_bag(out / "predictions.mcap", f"/perception/{task}/stable"))
        told = said([message for message in stable[task] if message.results])
        assert [label for ((label, _),) in changes.values()] == [label for ((label, _),) in told.values()]
        assert changes.keys() == told.keys()


def test_a_replay_offers_what_the_node_offers(recording: Any, models: Any, tmp_path: Path) -> None:
    settings = read_settings(models=[str(head) for head in models.heads], engine="eager", device="cpu")
    topic = choose_image_topic(recording.path, None)
    replay_to_run(recording.path, topic, settings.load(), settings, TruthSource(), tmp_path / "run")
    for recorded in read_topics(tmp_path / "run" / "predictions.mcap"):
        assert recorded.reliable
        assert recorded.latched == recorded.name.endswith(("/stable", "/labels"))
