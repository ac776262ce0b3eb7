"""What a planner gets from the real node, fed by the real player over real DDS: JPEG images, played once."""

from __future__ import annotations

import math
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from diagnostic_msgs.msg import DiagnosticStatus
from rclpy.qos import qos_profile_sensor_data
from sensor_msgs.msg import CompressedImage
from vision_msgs.msg import Classification, LabelInfo

from step_ros.frames import decode_compressed_image
from step_ros.ros.messages import nanoseconds_of

TASKS = ("atomic_action", "object")


@pytest.fixture(scope="module")
def seen(module_graph: Any, recording: Any) -> SimpleNamespace:
    """Everything that came while the recording was played once."""
    graph = module_graph
    # First: it waits, and the node knows what it offers before the first image.
    player = graph.start_player(recording, subscribers=2)
    queues = ("image_queue_size:=1000", "queue_size:=1000")
    graph.start_ready_node("image_transport:=compressed", "top_k:=2", *queues, image="camera")
    listen = graph.client.listen
    seen = SimpleNamespace(
        graph=graph,
        labels={task: listen(Classification, f"perception/{task}") for task in TASKS},
        images=listen(CompressedImage, "camera/compressed"),
        annotated=listen(
            CompressedImage, "perception/annotated_image/compressed", qos=qos_profile_sensor_data
        ),
    )
    assert graph.spin_until_exit(player) == 0
    seen.values = graph.settled_values()
    seen.status = graph.client.statuses[-1]
    # These come after everything has been published.
    seen.late_labels = {task: listen(LabelInfo, f"perception/{task}/labels", latched=True) for task in TASKS}
    seen.late_stable = {
        task: listen(Classification, f"perception/{task}/stable", latched=True) for task in TASKS
    }
    late = [*seen.late_labels.values(), *seen.late_stable.values()]
    graph.wait_for(lambda: all(late), "latched messages")
    return seen


@pytest.mark.parametrize("task", TASKS)
def test_labels_carry_the_newest_frames_header(seen: Any, recording: Any, task: str) -> None:
    stamps = {nanoseconds_of(image.header.stamp) for image in seen.images}
    received = [nanoseconds_of(message.header.stamp) for message in seen.labels[task]]
    assert received and set(received) <= stamps
    assert received == sorted(set(received))
    assert {message.header.frame_id for message in seen.labels[task]} == {recording.frame_id}


@pytest.mark.parametrize("task", TASKS)
def test_the_top_k_labels_come_best_first(seen: Any, models: Any, task: str) -> None:
    for message in seen.labels[task]:
        names = [result.class_id for result in message.results]
        scores = [result.score for result in message.results]
        assert len(names) == 2 and set(names) <= set(models.labels[task])
        assert names[0] == models.sure_of[task]
        assert scores == sorted(scores, reverse=True) and 0 < sum(scores) <= 1 + 1e-6


def test_all_tasks_answer_for_the_same_frames(seen: Any) -> None:
    first, second = (
        [nanoseconds_of(message.header.stamp) for message in seen.labels[task]] for task in TASKS
    )
    assert first == second


@pytest.mark.parametrize("task", TASKS)
def test_who_comes_late_still_learns_all_labels(seen: Any, models: Any, task: str) -> None:
    (info,) = seen.late_labels[task]
    assert {entry.class_id: entry.class_name for entry in info.class_map} == dict(
        enumerate(models.labels[task])
    )


@pytest.mark.parametrize("task", TASKS)
def test_who_comes_late_still_learns_the_stable_label_and_its_onset(
    seen: Any, models: Any, task: str
) -> None:
    (stable,) = seen.late_stable[task]
    assert [result.class_id for result in stable.results] == [models.sure_of[task]]
    assert stable.header.stamp == seen.labels[task][0].header.stamp  # it was there from the first update on


def test_every_frame_is_accounted_for(seen: Any, recording: Any) -> None:
    frames = {name: int(value) for name, value in seen.values.items() if name.startswith("dropped.")}
    fates = sum(
        int(seen.values[name])
        for name in ("encoded", "skipped_by_sampling", "skipped_inactive", "pending", "waiting")
    )
    received = int(seen.values["received"])
    assert received == fates + sum(frames.values())
    assert received + int(seen.values["lost_before_receipt"]) == len(recording.stamps_ns)
    assert len(seen.images) == len(recording.stamps_ns)
    assert int(seen.values["updates"]) == len(seen.labels["object"])


def test_the_annotated_image_is_a_frame_with_something_drawn_on_it(seen: Any) -> None:
    originals = {nanoseconds_of(image.header.stamp): image for image in seen.images}
    assert seen.annotated
    for image in seen.annotated:
        shown = decode_compressed_image(image)
        original = decode_compressed_image(originals[nanoseconds_of(image.header.stamp)])
        difference = np.abs(shown.astype(int) - original).mean(axis=-1)
        assert shown.shape == original.shape
        # Labels at the top, the window along the bottom, and the picture as it was between them.
        assert difference[:60, :300].mean() > 20 and difference[420:].mean() > 5
        assert difference[100:330].mean() < 5


def test_diagnostics_say_what_runs_and_how(seen: Any, models: Any) -> None:
    assert seen.status.name == seen.graph.namespace.strip("/") + "/perception: pipeline"
    assert seen.status.hardware_id == "cpu"
    assert seen.values["engine"] in ("tensorrt", "inductor", "openvino", "onnxruntime", "eager")
    assert seen.values["tasks"] == ", ".join(TASKS)
    assert seen.values["image_topic"] == seen.graph.namespace + "/camera/compressed"
    assert seen.values["image_reliability"] == "reliable"  # as the player offers
    for name in ("latency_p50_ms", "latency_p99_ms", "stamp_latency_p50_ms", "stamp_latency_p99_ms"):
        assert 0 < float(seen.values[name]) < math.inf
    assert seen.status.level in (DiagnosticStatus.OK, DiagnosticStatus.WARN)
