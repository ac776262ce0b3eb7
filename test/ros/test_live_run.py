"""`step-ros listen` on the real node over real DDS: a run like a replay's, with all that was heard."""

from __future__ import annotations

import json
import signal
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from step_ros.frames import image_topics, read_bag_frames, read_video
from step_ros.report.report import write_report
from step_ros.runs.run import LIVE, read_run


@pytest.fixture(scope="module")
def heard(module_graph: Any, recording: Any, tmp_path_factory: pytest.TempPathFactory) -> SimpleNamespace:
    """Listeners that were there from the first image on, until they were interrupted.

    One is told the truth, the other one has it from a csv, and draws it.
    """
    graph, out = module_graph, tmp_path_factory.mktemp("heard") / "run"
    player = graph.start_player(recording, subscribers=3)
    queues = ("image_queue_size:=1000", "queue_size:=1000")
    graph.start_ready_node("image_transport:=compressed", "top_k:=2", *queues, image="camera")
    truth = f"{graph.namespace}/truth"
    listen = ("step_ros.cli", "listen", f"{graph.namespace}/perception", "--out")
    csv, drawn = out.parent / "truth.csv", out.parent / "drawn"
    csv.write_text("start,end,object\n0.0,60.0,cup\n")
    told = graph.start(*listen, out, "--truth", truth)
    drawing = graph.start(*listen, drawn, "--truth-csv", csv, "--video")
    assert graph.spin_until_exit(player) == 0
    graph.settled_values()
    for listener in (told, drawing):
        listener.signal(signal.SIGINT)
    code = graph.spin_until_exit(told)
    assert graph.spin_until_exit(drawing) == 0, drawing.output
    return SimpleNamespace(code=code, said=told.output, out=out, drawn=drawn)


def test_what_was_heard_until_ctrl_c_is_kept(heard: Any, models: Any) -> None:
    assert heard.code == 0, heard.said
    run = read_run(heard.out)
    assert run.said_by == LIVE and run.updates
    assert {task: described.labels for task, described in run.tasks.items()} == models.labels
    assert run.clip == models.clip
    for update in run.updates:
        for row in update.probabilities.values():
            assert np.isfinite(row).sum() == 2  # top_k
    assert run.settings["top_k"] == 2 and run.settings["models"] == [str(head) for head in models.heads]
    assert (
        run.frames["received"]
        == sum(n for name, n in run.frames.items() if name != "received") - run.frames["lost_before_receipt"]
    )


def test_it_is_scored_as_a_replay_is(heard: Any, models: Any) -> None:
    metrics = json.loads((heard.out / "metrics.json").read_text())
    assert set(metrics["tasks"]) == set(models.labels)
    action = metrics["tasks"]["atomic_action"]
    # The heads always say the same, which is true for one second or two of four.
    assert 0 < action["accuracy"] < 1 and 0 < action["symmetric"] < 1
    assert action["map"] is None  # not all probabilities are told
    assert metrics["latency_ms"]["p50"] > 0 and metrics["compute_ms"]["p50"] is None


def test_the_images_are_beside_it_and_in_its_page(heard: Any, recording: Any) -> None:
    bag = heard.out / "recording.mcap"
    assert len(image_topics(bag)) == 1
    frames = list(read_bag_frames(bag))
    run = read_run(heard.out)
    assert {update.stamp_ns for update in run.updates} <= {frame.stamp_ns for frame in frames}
    assert len(frames) == len(recording.stamps_ns)
    assert "data:image/jpeg" in write_report(heard.out).read_text()


def test_the_truth_of_a_csv_counts_and_is_in_the_video(heard: Any) -> None:
    run = read_run(heard.drawn)
    first_ns = next(iter(read_bag_frames(heard.drawn / "recording.mcap"))).stamp_ns
    assert list(run.truth) == ["object"]
    assert run.truth["object"].changes == [(first_ns, "cup"), (first_ns + 60_000_000_000, "")]
    # The picture repeats every 200 columns, but where the truth is written: on darker ground at the left.
    for frame in list(read_video(heard.drawn / "annotated.mp4"))[::10]:
        truth, beside = (frame.rgb[329:347, left : left + 8].mean() for left in (0, 600))
        assert truth < 0.6 * beside


def test_a_node_that_is_not_there_is_named(graph: Any, tmp_path: Path) -> None:
    listener = graph.start("step_ros.cli", "listen", "/nobody", "--out", tmp_path, "--start-timeout", 2)
    assert graph.spin_until_exit(listener) == 1
    assert "/nobody was not ready after 2 s" in listener.output and "Traceback" not in listener.output


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM], ids=lambda number: number.name)
def test_stopped_before_there_is_a_node_it_says_so(
    graph: Any, tmp_path: Path, number: signal.Signals
) -> None:
    listener = graph.start("step_ros.cli", "listen", "/nobody", "--out", tmp_path)
    graph.wait_for(lambda: "waiting for" in listener.output, "the listener")
    listener.signal(number)
    listener.signal(number)
    assert graph.spin_until_exit(listener) == 130, listener.output
    assert "Traceback" not in listener.output
    assert not (tmp_path / "run.json").exists()
