"""A recording through the pipeline without ROS: the same as frame by frame, and nothing lost in silence."""

from __future__ import annotations

import copy
import csv
import json
import logging
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from rosbags.rosbag2 import Reader, StoragePlugin

from step_ros.backbones.engines import EngineSelection
from step_ros.backbones.engines.eager import EagerEngine
from step_ros.frames import BagError, read_bag_frames, read_video, typestore
from step_ros.perception import Perceiver
from step_ros.runs.replay import ImageTopic, Replay, choose_image_topic, run_folders
from step_ros.runs.replay_run import TruthSource, replay_to_run
from step_ros.runs.run import RunError, read_run
from step_ros.runs.settings import ReplaySettings, SettingsError, read_settings
from step_ros.runs.truth import TruthError
from step_ros.runs.writers.rerun import RunRerun
from step_ros.runs.writers.video import RunVideo

CAMERA = "/camera/image_raw/compressed"


@pytest.fixture
def run(recording: Path, perceiver: Perceiver, settings: ReplaySettings, tmp_path: Path) -> Path:
    replay_to_run(
        recording, choose_image_topic(recording, None), perceiver, settings, TruthSource(), tmp_path / "run"
    )
    return tmp_path / "run"


def test_says_what_the_perceiver_says_frame_by_frame(
    recording: Path, perceiver: Perceiver, settings: ReplaySettings
) -> None:
    replayed = list(Replay(recording, CAMERA, perceiver, settings))
    perceiver.reset()
    pushed = [p for p in map(perceiver.push, read_bag_frames(recording)) if p is not None]
    assert len(pushed) > 40
    assert [moment.update.stamp_ns for moment in replayed] == [p.stamp_ns for p in pushed]
    assert [moment.update.window_start_ns for moment in replayed] == [p.window_start_ns for p in pushed]
    for moment, perception in zip(replayed, pushed, strict=True):
        for task, prediction in perception.predictions.items():
            ours = moment.update.probabilities[task]
            np.testing.assert_allclose(ours, prediction.probabilities, atol=1e-4)


def test_frames_that_no_window_shows_need_not_be_decoded(
    recording: Path, perceiver: Perceiver, settings: ReplaySettings
) -> None:
    replay = Replay(recording, CAMERA, perceiver, settings)
    moments = list(replay)
    counts = replay.counts
    assert counts["received"] == 180
    assert counts["received"] == sum(count for name, count in counts.items() if name != "received")
    assert counts["encoded"] == 60
    assert all(moment.frame_id == "camera" for moment in moments)


def test_broken_images_are_counted_and_an_older_one_of_the_cell_is_shown(
    make_recording: Callable[..., Path], tmp_path: Path, perceiver: Perceiver, settings: ReplaySettings
) -> None:
    broken = make_recording(tmp_path / "broken", broken=(33, 34, 90))
    replay = Replay(broken, CAMERA, perceiver, settings)
    replayed = list(replay)
    perceiver.reset()
    pushed = [p for p in map(perceiver.push, read_bag_frames(broken)) if p is not None]
    assert [moment.update.stamp_ns for moment in replayed] == [p.stamp_ns for p in pushed]
    assert replay.counts["dropped.corrupt_compressed"] >= 1


@pytest.mark.parametrize("storage", list(StoragePlugin))
def test_raw_images_in_either_storage(
    storage: StoragePlugin,
    make_recording: Callable[..., Path],
    tmp_path: Path,
    recording: Path,
    perceiver: Perceiver,
    settings: ReplaySettings,
) -> None:
    images = {"/camera/image_raw": "sensor_msgs/msg/Image"}
    raw = make_recording(tmp_path / "raw", images=images, storage=storage)
    labels = [
        [m.update.probabilities["motion"].argmax() for m in Replay(bag, topic, perceiver, settings)]
        for bag, topic in ((raw, "/camera/image_raw"), (recording, CAMERA))
    ]
    assert labels[0] == labels[1]


def test_one_camera_has_the_folder_and_several_or_named_ones_have_their_own() -> None:
    left, right = ImageTopic("/left/image", 1), ImageTopic("/right/image", 1)
    out = Path("out")
    assert run_folders([left], out) == [out]
    assert run_folders([left, right], out) == [out / "left_image", out / "right_image"]
    assert run_folders([ImageTopic("/left/image", 1, "wrist")], out) == [out / "wrist"]


def test_writes_a_folder_that_reads_back(run: Path) -> None:
    read = read_run(run)
    rows = list(csv.DictReader((run / "predictions.csv").open()))
    assert len(rows) == 2 * len(read.updates)
    assert rows[0].keys() >= {"seconds", "stamp_ns", "task", "label", "confidence", "stable", "truth"}
    assert {row["truth"] for row in rows if row["task"] == "motion"} == {"idle", "right", "left"}
    metrics = json.loads((run / "metrics.json").read_text())
    scores = metrics["tasks"]["motion"]
    right = [row["label"] == row["truth"] for row in rows if row["task"] == "motion"]
    assert scores["accuracy"] == pytest.approx(np.mean(right), abs=1e-3)
    assert {"f1@10", "f1@25", "f1@50", "edit", "map", "onsets", "flips_per_minute", "clips"} <= set(scores)
    assert scores["clips"]["clips"] == len(read.clips["motion"]) == 4
    assert metrics["coverage"] == 1.0
    assert read.frames["received"] == 180


def test_the_mcap_holds_what_the_node_would_have_published(run: Path) -> None:
    read = read_run(run)
    store = typestore()
    messages: dict[str, list[Any]] = {}
    with Reader(run / "predictions.mcap") as reader:
        for connection, time_ns, data in reader.messages():
            message = store.deserialize_cdr(data, connection.msgtype)
            messages.setdefault(connection.topic, []).append((time_ns, message))
    tasks = ("motion", "object")
    stable = {f"/perception/{task}/stable" for task in tasks}
    direction = "/perception/motion/direction"  # the other task's labels have no partners
    told = {f"/perception/{t}{x}" for t in tasks for x in ("", "/labels")}
    assert set(messages) - stable == told | {direction}
    checked = [(update, each) for update in read.updates for each in update.directions]
    for (time_ns, message), (update, each) in zip(messages[direction], checked, strict=True):
        assert time_ns == update.log_time_ns
        assert message.header.stamp.sec * 10**9 + message.header.stamp.nanosec == update.stamp_ns
        assert [result.class_id for result in message.results] == [label for label, _ in each.results]
        assert message.results[-1].score == pytest.approx(each.confidence)
    updates = messages["/perception/motion"]
    assert [time_ns for time_ns, _ in updates] == [update.log_time_ns for update in read.updates]
    for (_, message), update in zip(updates, read.updates, strict=True):
        stamp = message.header.stamp
        assert stamp.sec * 10**9 + stamp.nanosec == update.stamp_ns
        assert message.header.frame_id == "camera"
        assert len(message.results) == 3
        assert message.results[0].score == pytest.approx(update.probabilities["motion"].max(), abs=1e-5)
    ((_, labels),) = messages["/perception/motion/labels"]
    assert [entry.class_name for entry in labels.class_map] == list(read.tasks["motion"].labels)
    changes = [c for update in read.updates for c in update.changes if c.task == "motion"]
    assert len(messages.get("/perception/motion/stable", [])) == len(changes)


def test_truth_from_a_csv(
    make_recording: Callable[..., Path], tmp_path: Path, perceiver: Perceiver, settings: ReplaySettings
) -> None:
    bag = make_recording(tmp_path / "bag", truth=False)
    table = tmp_path / "truth.csv"
    table.write_text("start,end,motion\n1.5,3.0,right\n3.5,4.5,left\n")
    topic = choose_image_topic(bag, None)
    metrics = replay_to_run(bag, topic, perceiver, settings, TruthSource(csv=table), tmp_path / "run")
    assert list(metrics["tasks"]) == ["motion"]
    assert metrics["tasks"]["motion"]["labelled_seconds"] == pytest.approx(2.5)


def test_truth_that_does_not_overlap_is_named(
    make_recording: Callable[..., Path], tmp_path: Path, perceiver: Perceiver, settings: ReplaySettings
) -> None:
    bag = make_recording(tmp_path / "bag", truth_shift_s=500.0)
    topic = choose_image_topic(bag, None)
    metrics = replay_to_run(bag, topic, perceiver, settings, TruthSource(), tmp_path / "run")
    assert metrics["tasks"] == {}
    assert any("does not overlap" in warning for warning in read_run(tmp_path / "run").warnings)
    table = tmp_path / "truth.csv"
    table.write_text("start,end,motion\n100,101,right\n")
    with pytest.raises(TruthError, match="does not overlap"):
        replay_to_run(bag, topic, perceiver, settings, TruthSource(csv=table), tmp_path / "run")
    with pytest.raises(RunError, match="not the folder of a finished run"):
        read_run(tmp_path / "run")


@pytest.mark.parametrize(
    ("content", "complaint"),
    [
        ("start,end,action\n0,1,right\n", "at least one of motion, object"),
        ("begin,end,motion\n0,1,right\n", "expected start, end"),
        ("start,end,motion\n0,x,right\n", "number of seconds, found 'x'"),
        ("start,end,motion\n2,1,right\n", "must end after it starts"),
        ("start,end,motion\n0,2,right\n1,3,left\n", "the one before ends at 2.0"),
    ],
)
def test_a_csv_that_makes_no_sense_is_an_error(
    content: str,
    complaint: str,
    recording: Path,
    perceiver: Perceiver,
    settings: ReplaySettings,
    tmp_path: Path,
) -> None:
    table = tmp_path / "truth.csv"
    table.write_text(content)
    topic = ImageTopic(CAMERA, 180)
    with pytest.raises(TruthError, match=complaint):
        replay_to_run(recording, topic, perceiver, settings, TruthSource(csv=table), tmp_path / "run")


def test_several_cameras_are_a_choice(make_recording: Callable[..., Path], tmp_path: Path) -> None:
    cameras = {f"/{side}/image_raw": "sensor_msgs/msg/Image" for side in ("left", "right")}
    bag = make_recording(tmp_path / "two", seconds=1.0, images=cameras)
    with pytest.raises(BagError, match="choose one of /left/image_raw, /right/image_raw"):
        choose_image_topic(bag, None)
    assert choose_image_topic(bag, "/right/image_raw") == ImageTopic("/right/image_raw", 30)
    with pytest.raises(BagError, match="no topic /middle"):
        choose_image_topic(bag, "/middle")


def test_a_bag_without_images_says_what_it_has(make_recording: Callable[..., Path], tmp_path: Path) -> None:
    bag = make_recording(tmp_path / "none", images={})
    with pytest.raises(BagError, match="no topic with images.*/truth/motion"):
        choose_image_topic(bag, None)


def test_no_messages_are_an_error(make_recording: Callable[..., Path], tmp_path: Path) -> None:
    bag = make_recording(tmp_path / "empty", seconds=0.0)
    with pytest.raises(BagError, match=r"has no messages; the bag has .*/truth/motion \(0\)"):
        choose_image_topic(bag, None)


def test_a_bag_that_was_cut_off_is_replayed_to_its_last_good_message(
    make_recording: Callable[..., Path],
    tmp_path: Path,
    perceiver: Perceiver,
    settings: ReplaySettings,
    caplog: pytest.LogCaptureFixture,
) -> None:
    whole = make_recording(tmp_path / "whole")
    cut = tmp_path / "cut.mcap"
    content = (whole / "whole.mcap").read_bytes()
    cut.write_bytes(content[: len(content) // 2])
    topic = choose_image_topic(cut, None)
    with caplog.at_level(logging.WARNING):
        replay_to_run(cut, topic, perceiver, settings, TruthSource(), tmp_path / "run")
    run = read_run(tmp_path / "run")
    assert 0 < len(run.updates) < 53
    assert any("is damaged" in warning for warning in run.warnings)


def test_a_recording_shorter_than_a_window_says_so(
    make_recording: Callable[..., Path], tmp_path: Path, perceiver: Perceiver, settings: ReplaySettings
) -> None:
    bag = make_recording(tmp_path / "short", seconds=0.3)
    metrics = replay_to_run(
        bag, choose_image_topic(bag, None), perceiver, settings, TruthSource(), tmp_path / "run"
    )
    assert metrics["updates"] == 0
    assert any("no window was whole" in warning for warning in read_run(tmp_path / "run").warnings)


def test_settings_are_those_of_a_parameter_file(tmp_path: Path) -> None:
    file = tmp_path / "mine.yaml"
    file.write_text(
        "/robot/perception:\n  ros__parameters:\n    top_k: 5\n    filter:\n      threshold: 0.7\n"
        "camera:\n  ros__parameters:\n    top_k: 9\n"
    )
    settings = read_settings(file, engine="eager")
    assert (settings.top_k, settings.filter.threshold, settings.engine) == (5, 0.7, "eager")
    assert settings.filter.on_seconds == read_settings().filter.on_seconds
    file.write_text("camera:\n  ros__parameters:\n    top_k: 9\n")
    with pytest.raises(SettingsError, match="nothing to a node 'perception'; it names camera"):
        read_settings(file)
    file.write_text("/**:\n  ros__parameters:\n    top_k: many\n")
    with pytest.raises(SettingsError, match="top_k must be of type int, got 'many'"):
        read_settings(file)


def test_a_video_shows_every_update(
    recording: Path, perceiver: Perceiver, settings: ReplaySettings, tmp_path: Path
) -> None:
    topic = choose_image_topic(recording, None)
    also = {"annotated.mp4": RunVideo}
    replay_to_run(recording, topic, perceiver, settings, TruthSource(), tmp_path, also=also)
    frames = list(read_video(tmp_path / "annotated.mp4"))
    assert frames[-1].stamp_ns == pytest.approx(5.2e9, abs=2e8)
    assert frames[0].rgb.shape == (120, 160, 3)
    # Labels at the top, which the camera has not seen.
    seen = next(iter(read_bag_frames(recording))).rgb
    assert np.abs(frames[0].rgb[:20].astype(int) - seen[:20]).mean() > 15


def test_a_rerun_recording_holds_images_and_labels(
    recording: Path, perceiver: Perceiver, settings: ReplaySettings, tmp_path: Path
) -> None:
    pytest.importorskip("rerun", reason="needs the extra `rerun`")
    topic = choose_image_topic(recording, None)
    replay_to_run(
        recording, topic, perceiver, settings, TruthSource(), tmp_path, also={"replay.rrd": RunRerun}
    )
    content = (tmp_path / "replay.rrd").read_bytes()
    assert len(content) > 10_000
    assert b"motion/confidence" in content and b"image/jpeg" in content


class FlickeringEngine(EagerEngine):
    """PyTorch, but for every twentieth frame's tokens."""

    encoded = 0

    def encode_batch(self, frames: torch.Tensor) -> torch.Tensor:
        tokens = super().encode_batch(frames)
        for row in tokens:
            self.encoded += 1
            if self.encoded % 20 == 0:
                row.fill_(float("nan"))
        return tokens


def test_tokens_that_are_no_numbers_are_counted_and_give_no_label(
    recording: Path, settings: ReplaySettings, tmp_path: Path
) -> None:
    perceiver = settings.load()
    perceiver.backbone.engine = EngineSelection(FlickeringEngine(perceiver.backbone.encoder))
    metrics = replay_to_run(
        recording, choose_image_topic(recording, None), perceiver, settings, TruthSource(), tmp_path
    )
    run = read_run(tmp_path)
    assert run.facts["update_error.not_finite"] == 3
    assert any("3 updates: the backbone's tokens are not finite" in warning for warning in run.warnings)
    assert len(run.updates) == 60 - 7 - 3 and metrics
    assert all(np.isfinite(row).all() for update in run.updates for row in update.probabilities.values())


def test_a_head_that_gives_no_number_says_nothing_and_is_named(
    recording: Path, perceiver: Perceiver, settings: ReplaySettings, tmp_path: Path
) -> None:
    heads = {task: copy.deepcopy(head) for task, head in perceiver.heads.items()}
    with torch.no_grad():
        heads["motion"].probe.classifier.weight.fill_(float("nan"))
    broken = Perceiver(perceiver.backbone, heads)
    metrics = replay_to_run(
        recording, choose_image_topic(recording, None), broken, settings, TruthSource(), tmp_path
    )
    run = read_run(tmp_path)
    assert any("updates: what the head of motion gives" in warning for warning in run.warnings)
    assert run.facts["update_error.not_finite"] == len(run.updates) > 40
    assert run.answers("motion") == [] and len(run.answers("object")) == len(run.updates)
    assert run.clips["motion"] == [] and "NaN" not in json.dumps(metrics["tasks"]["object"])
    with Reader(tmp_path / "predictions.mcap") as bag:
        assert not [topic for topic in bag.topics if topic.endswith("/motion") and bag.topics[topic].msgcount]


def test_heads_of_nothing_but_nan_leave_a_run_without_updates(
    recording: Path, perceiver: Perceiver, settings: ReplaySettings, tmp_path: Path
) -> None:
    heads = {"object": copy.deepcopy(perceiver.heads["object"])}
    with torch.no_grad():
        heads["object"].probe.classifier.weight.fill_(float("nan"))
    broken = Perceiver(perceiver.backbone, heads)
    replay_to_run(recording, choose_image_topic(recording, None), broken, settings, TruthSource(), tmp_path)
    run = read_run(tmp_path)
    assert run.updates == [] and run.facts["update_error.not_finite"] > 40
    assert [warning for warning in run.warnings if "the head of object" in warning]
