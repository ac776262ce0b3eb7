"""Replay and the live node say the same of one recording."""

from __future__ import annotations

from collections import defaultdict
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import yaml
from rosbags.rosbag2 import Reader
from std_srvs.srv import Trigger
from vision_msgs.msg import Classification

from step_ros.frames import typestore
from step_ros.frames.bags.recording import read_topics
from step_ros.ros.messages import nanoseconds_of
from step_ros.runs.replay import Replay, choose_image_topic, choose_image_topics
from step_ros.runs.replay_run import TruthSource, replay_to_run
from step_ros.runs.settings import read_settings

from ..moving_square import CAMERA, PAIRS, write_recording
from ..moving_square import LABELS as TASKS
from ..moving_square import models as square_heads  # noqa: F401

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


AWAY_FROM_DEFAULTS = {
    "tasks, top_k": "{tasks: [motion], top_k: 2}",
    "window_seconds, max_held": "{window_seconds: 12e-1, max_held: 1}",
    "max_update_rate, direction": "{max_update_rate: 4.0, direction: {max_rate: 1e0}}",
    "filter": "{filter: {on_seconds: 2e-1, off_seconds: 1e-1, threshold: 0.9}}",
    "cameras": "{cameras: [front, wrist], top_k: 1}",
}
PLAYS = 4
"""How often a node may be given the recording, until it keeps up with all of it."""


@pytest.fixture(scope="module")
def gappy(tmp_path_factory: pytest.TempPathFactory) -> SimpleNamespace:
    """A square that moves right, then left; for a while the camera's images are broken."""
    path = tmp_path_factory.mktemp("bags") / "gappy"
    return SimpleNamespace(path=write_recording(path, seconds=4.5, truth=False, broken=tuple(range(60, 70))))


def replayed(recording: Any, file: Path) -> dict[str, list[tuple[int, Any]]]:
    """What a replay says, by the node's topic: stamps and results."""
    settings = read_settings(file)
    perceiver = settings.load()
    said: dict[str, list[tuple[int, Any]]] = defaultdict(list)
    wanted = [CAMERA] * len(settings.cameras)  # two cameras that see the same
    for topic in choose_image_topics(recording.path, wanted, settings):
        prefix = f"{topic.camera}/" if topic.camera else ""
        for moment in Replay(recording.path, topic.name, perceiver, settings):
            for each in moment.announcements:
                name = prefix + each.task + ("/stable" if each.stable else "")
                said[name].append((each.stamp_ns, list(each.results)))
            for direction in moment.update.directions:
                told = (moment.update.stamp_ns, list(direction.results))
                said[f"{prefix}{direction.task}/direction"].append(told)
    return said


def results_of(message: Classification) -> list[tuple[str, float]]:
    return [(result.class_id, result.score) for result in message.results]


@pytest.mark.parametrize("away", AWAY_FROM_DEFAULTS)
def test_a_node_and_a_replay_follow_the_same_file(
    graph: Any,
    gappy: SimpleNamespace,
    square_heads: Any,  # noqa: F811
    tmp_path: Path,
    away: str,
) -> None:
    of_both = {
        "models": [str(folder) for folder in square_heads.values()],
        "engine": "eager",
        "device": "cpu",
        "image_transport": "compressed",
        # Queues that lose nothing, stamps that are the recording's, and nothing that is late.
        **{"queue_size": 1000, "image_queue_size": 1000},
        "staleness": {"max_age": 0.0, "timeout": 3600.0},
        "diagnostics": {"period": 0.1},
    }
    file = tmp_path / "perception.yaml"
    base = yaml.safe_dump({"/**": {"ros__parameters": of_both}})
    file.write_text(base)
    by_default = replayed(gappy, file)
    own = f"{graph.namespace}:\n  perception:\n    ros__parameters: {AWAY_FROM_DEFAULTS[away]}\n"
    file.write_text(base + own)
    expected = replayed(gappy, file)
    assert expected != by_default

    cameras = [f"{camera}/" if camera else "" for camera in read_settings(file).cameras]
    names = [f"{camera}{task}{part}" for camera in cameras for task in TASKS for part in ("", "/stable")]
    names += [f"{camera}{task}/direction" for camera in cameras for task in TASKS if PAIRS[task]]
    heard = {
        name: graph.client.listen(Classification, f"perception/{name}", latched=name.endswith("/stable"))
        for name in names
    }
    remaps = [f"__ns:={graph.namespace}", *(f"{camera}image:=camera" for camera in cameras)]
    node = graph.start(
        *("step_ros.ros.node.process", "--ros-args", "--params-file", file),
        *(part for remap in remaps for part in ("-r", remap)),
    )
    graph.wait_for(
        lambda: graph.client.values.get("state") == "active" or not node.running, "the node to be active"
    )
    assert node.running, node.output

    for _ in range(PLAYS):
        assert graph.call(Trigger, "reset", Trigger.Request()).success
        graph.spin(0.3)
        for messages in heard.values():
            messages.clear()
        graph.spin_until_exit(graph.start_player(gappy, "--no-restamp", subscribers=len(cameras)))
        graph.spin(1.0)
        told = {
            name: [(nanoseconds_of(each.header.stamp), results_of(each)) for each in messages]
            for name, messages in heard.items()
        }
        if all(len(told[name]) == len(expected[name]) for name in names):
            break

    for name in names:
        assert [stamp for stamp, _ in told[name]] == [stamp for stamp, _ in expected[name]], name
        for (_, ours), (_, theirs) in zip(expected[name], told[name], strict=True):
            assert [label for label, _ in ours] == [label for label, _ in theirs], name
            assert [score for _, score in ours] == pytest.approx([score for _, score in theirs], abs=1e-3)
