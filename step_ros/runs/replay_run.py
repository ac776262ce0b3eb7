"""A recording, replayed through the node's pipeline, as a run."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Mapping
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from step_ros.frames import BagError, read_bag_frames
from step_ros.frames.bags.storage import open_bag
from step_ros.perception import Perceiver
from step_ros.perception.ledger import LostUpdate
from step_ros.runs.middle_windows import MiddleWindows
from step_ros.runs.recorder import NOTHING_ELSE, MakeWriter, RunRecorder, WarningsOf, make_room, versions
from step_ros.runs.replay import ImageTopic, Replay
from step_ros.runs.run import REPLAY, Run, RunTask
from step_ros.runs.settings import ReplaySettings
from step_ros.runs.truth import read_truth_csv, read_truth_topics, usable_truth
from step_ros.scores.timeline import TruthTimeline

_log = logging.getLogger("step_ros")


@dataclass(frozen=True)
class TruthSource:
    """Where the truth stands."""

    topics: str = "/truth"
    """Prefix of a bag's topics, one a task."""
    csv: Path | None = None
    """A csv of segments, which then is what counts."""


def replay_to_run(
    bag: Path,
    topic: ImageTopic,
    perceiver: Perceiver,
    settings: ReplaySettings,
    truth_source: TruthSource,
    out: Path,
    *,
    rate: float = 0.0,
    also: Mapping[str, MakeWriter] = NOTHING_ELSE,
    on_update: Callable[[Replay], None] = lambda replay: None,
) -> dict[str, Any]:
    """Replay a recording and keep the run in `out`, see `RunRecorder`.

    Args:
        bag: folder or file.
        topic: its images.
        perceiver: the pipeline.
        settings: the node's parameters.
        truth_source: what to compare with.
        out: made if it does not exist; an earlier run in it is replaced.
        rate: seconds of the recording a second; 0 is as fast as can be.
        also: further files by name, and what writes them, given its path and the run.
        on_update: called after each update; the replay knows how far it is.

    Returns:
        The metrics, as in metrics.json.

    Raises:
        BagError: no image of the bag can be used.
        TruthError: the csv cannot be used, or nothing in it overlaps the images.
    """
    make_room(out)
    warnings: list[str] = []
    with WarningsOf(warnings):
        span_ns = recorded_span_ns(bag, topic)
        run = Run(
            said_by=REPLAY,
            recording=str(bag.resolve()),
            image_topic=topic.name,
            clip=perceiver.clip,
            tasks={task: RunTask.of(head.config) for task, head in perceiver.heads.items()},
            span_ns=span_ns,
            settings=settings.to_json(),
            warnings=warnings,
        )
        run.truth = _truth(bag, run, truth_source)
        clips = MiddleWindows(perceiver, run.truth, span_ns[1])
        replay = Replay(bag, topic.name, perceiver, settings, rate=rate)
        started = time.perf_counter()
        node = f"{settings.node}/{topic.camera}" if topic.camera else settings.node
        with RunRecorder(run, out, node=node, start_ns=span_ns[0], also=also) as recorder:
            for moment in replay:
                recorder.add(moment)
                clips.look(run.perception(moment.update))
                on_update(replay)
        for cause, count in replay.not_finite.items():
            _log.warning("%d updates: %s", count, cause)
        if not run.updates and not replay.not_finite:
            _log.warning(
                "no window was whole: the images span %.2f s, a window %.2f s, and at most %d of its %d "
                "positions may be held",
                *((span_ns[1] - span_ns[0]) / 1e9, run.clip.window_ns / 1e9),
                *(settings.max_held if settings.max_held >= 0 else run.clip.num_frames // 2,),
                run.clip.num_frames,
            )
    seconds = time.perf_counter() - started
    run.span_ns = replay.span_ns or span_ns
    run.clips = clips.said()
    run.frames = replay.counts
    run.facts = _facts(perceiver, truth_source, replay, run, seconds)
    return recorder.finish(clips.metrics())


def recorded_span_ns(bag: Path, topic: ImageTopic) -> tuple[int, int]:
    """Stamps of the first and the last image that can be decoded.

    Raises:
        BagError: none can.
    """
    first = next(iter(read_bag_frames(bag, topic.name)), None)
    if first is None:
        raise BagError(f"{topic.name} of {bag} has no messages that can be read")
    with closing(open_bag(bag)) as storage:
        last_log_ns = max(log_time_ns for log_time_ns, _ in storage.messages(topic.name))
    # Headers run as far ahead as the recorder's clock does.
    return first.stamp_ns, max(first.stamp_ns, first.stamp_ns + last_log_ns - first.log_time_ns)


def _truth(bag: Path, run: Run, source: TruthSource) -> dict[str, TruthTimeline]:
    if source.csv is not None:
        return usable_truth(
            run, read_truth_csv(source.csv, run.span_ns[0], tuple(run.tasks), recording=bag), required=True
        )
    return usable_truth(run, read_truth_topics(bag, tuple(run.tasks), source.topics))


def _facts(
    perceiver: Perceiver, truth_source: TruthSource, replay: Replay, run: Run, seconds: float
) -> dict[str, Any]:
    engine = perceiver.backbone.engine
    recorded = (run.span_ns[1] - run.span_ns[0]) / 1e9
    return {
        "backbone": str(perceiver.backbone.identity),
        "engine": f"{engine.name}, {engine.precision}",
        "device": str(perceiver.backbone.device),
        "truth_source": str(truth_source.csv) if truth_source.csv else truth_source.topics,
        "restarts": replay.restarts,
        f"update_error.{LostUpdate.NOT_FINITE.value}": replay.not_finite.total(),
        "replay_seconds": round(seconds, 3),
        "real_time_factor": round(recorded / seconds, 2),
        "versions": versions(),
    }
