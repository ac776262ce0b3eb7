"""From a bag to a folder with everything that a replay finds."""

from __future__ import annotations

import importlib.metadata
import json
import logging
import os
import platform
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType, TracebackType
from typing import Any, Protocol

import torch

from step_ros.frames import BagError, read_bag_frames
from step_ros.frames.bags.storage import open_bag
from step_ros.perception import Perceiver, StableLabel
from step_ros.runs.evaluate import summarise
from step_ros.runs.middle_windows import ReplayClips
from step_ros.runs.replay import ImageTopic, Replay, ReplayedUpdate
from step_ros.runs.run import (
    METRICS,
    PREDICTIONS_BAG,
    PREDICTIONS_JSONL,
    REPORT,
    RUN,
    Run,
    RunTask,
    RunUpdate,
    update_line,
    write_run,
)
from step_ros.runs.settings import ReplaySettings
from step_ros.runs.truth import TruthError, check_truth, read_truth_csv, read_truth_topics
from step_ros.runs.writers.bag import PredictionBag
from step_ros.scores.updates import TruthTimeline

_log = logging.getLogger("step_ros")


@dataclass(frozen=True)
class TruthSource:
    """Where the truth stands."""

    topics: str = "/truth"
    """Prefix of a bag's topics, one a task."""
    csv: Path | None = None
    """A csv of segments, which then is what counts."""


class ReplayWriter(Protocol):
    """A context manager that writes one more file, such as `ReplayVideo`."""

    def add(self, update: ReplayedUpdate) -> None:
        """Take the next update."""

    def __enter__(self) -> ReplayWriter: ...

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None: ...


MakeWriter = Callable[[Path, Mapping[str, TruthTimeline]], ReplayWriter]
"""Makes a writer for a file's path and the truth by task."""

NOTHING_ELSE: Mapping[str, MakeWriter] = MappingProxyType({})


def replay_to_folder(
    bag: Path,
    topic: ImageTopic,
    perceiver: Perceiver,
    settings: ReplaySettings,
    truth_source: TruthSource,
    out: Path,
    *,
    rate: float = 0.0,
    also: Mapping[str, MakeWriter] = NOTHING_ELSE,
    on_update: Callable[[Replay, ReplayedUpdate], None] | None = None,
) -> dict[str, Any]:
    """Replay a recording and write what it gives to `out`, a file at a time; run.json comes last.

    Args:
        bag: folder or file.
        topic: its images.
        perceiver: the pipeline.
        settings: the node's parameters.
        truth_source: what to compare with.
        out: made if it does not exist; an earlier replay in it is replaced.
        rate: seconds of the recording a second; 0 is as fast as can be.
        also: further files by name, and what writes them, given its path and the truth.
        on_update: called after each update.

    Returns:
        The metrics, as in metrics.json.

    Raises:
        BagError: no image of the bag can be used.
        TruthError: the csv cannot be used, or nothing in it overlaps the images.
    """
    out.mkdir(parents=True, exist_ok=True)
    for old in (RUN, REPORT):  # they must not pass for this run's
        (out / old).unlink(missing_ok=True)
    with _warnings() as warnings:
        span_ns = recorded_span_ns(bag, topic)
        truth = _truth(bag, perceiver, truth_source, span_ns)
        heads = {task: head.config for task, head in perceiver.heads.items()}
        run = Run(
            facts={},
            clip=perceiver.clip,
            span_ns=span_ns,
            tasks={
                task: RunTask(config.labels, config.symmetric_pairs, config.idle_label)
                for task, config in heads.items()
            },
            truth=truth,
        )
        clips = ReplayClips(perceiver, truth, span_ns[1])
        node = f"{settings.node}/{topic.camera}" if topic.camera else settings.node
        replay = Replay(bag, topic.name, perceiver, settings, rate=rate)
        started = time.perf_counter()
        with (
            PredictionBag(out / PREDICTIONS_BAG, node, heads, span_ns[0]) as predictions,
            (out / PREDICTIONS_JSONL).open("w", encoding="utf-8") as lines,
            ExitStack() as stack,
        ):
            writers = [stack.enter_context(make(out / name, truth)) for name, make in also.items()]
            for update in replay:
                _publish(predictions, update)
                run.updates.append(_run_update(update))
                lines.write(update_line(run.updates[-1]) + "\n")
                clips.look(update.perception, update.window_tokens)
                for writer in writers:
                    writer.add(update)
                if on_update is not None:
                    on_update(replay, update)
        seconds = time.perf_counter() - started
        run.span_ns = replay.span_ns or span_ns
        run.clips = clips.said()
        if not run.updates:
            _log.warning(
                "no window was whole: the images span %.2f s, a window %.2f s, and at most %d of its %d "
                "positions may be held",
                *((run.span_ns[1] - run.span_ns[0]) / 1e9, run.clip.window_ns / 1e9),
                *(settings.max_held if settings.max_held >= 0 else run.clip.num_frames // 2,),
                run.clip.num_frames,
            )
        metrics = summarise(run, clips.metrics())
    run.facts = _facts(bag, topic, perceiver, settings, truth_source, replay, seconds, warnings)
    (out / METRICS).write_text(json.dumps(metrics, indent=2) + "\n", encoding="utf-8")
    write_run(run, out)
    return metrics


def recorded_span_ns(bag: Path, topic: ImageTopic) -> tuple[int, int]:
    """Stamps of the first and the last image that can be decoded.

    Raises:
        BagError: none can.
    """
    first = next(iter(read_bag_frames(bag, topic.name)), None)
    if first is None:
        raise BagError(f"{topic.name} of {bag} has no messages that can be read")
    storage = open_bag(bag)
    try:
        last_log_ns = max(log_time_ns for log_time_ns, _ in storage.messages(topic.name))
    finally:
        storage.close()
    # Headers run as far ahead as the recorder's clock does.
    return first.stamp_ns, max(first.stamp_ns, first.stamp_ns + last_log_ns - first.log_time_ns)


def _truth(
    bag: Path, perceiver: Perceiver, source: TruthSource, span_ns: tuple[int, int]
) -> dict[str, TruthTimeline]:
    """The truth that can be used; of what cannot, a warning."""
    tasks = tuple(perceiver.heads)
    if source.csv is not None:
        truth = read_truth_csv(source.csv, span_ns[0], tasks)
    else:
        truth = read_truth_topics(bag, tasks, source.topics)
    labels = {task: perceiver.heads[task].config.labels for task in truth}
    for sentence in check_truth(truth, labels, span_ns):
        _log.warning("%s", sentence)
    usable = {task: timeline for task, timeline in truth.items() if timeline.overlaps(*span_ns)}
    if source.csv is not None and not usable:
        raise TruthError("; ".join(check_truth(truth, labels, span_ns)))
    return usable


def _publish(predictions: PredictionBag, update: ReplayedUpdate) -> None:
    for announcement in update.announcements:
        predictions.write(
            announcement.task,
            announcement.results,
            stable=announcement.stable,
            stamp_ns=announcement.stamp_ns,
            frame_id=update.frame_id,
            log_time_ns=update.log_time_ns,
        )


def _run_update(update: ReplayedUpdate) -> RunUpdate:
    perception = update.perception
    return RunUpdate(
        stamp_ns=perception.stamp_ns,
        window_start_ns=perception.window_start_ns,
        received_ns=update.trigger_ns + update.compute_ns,
        log_time_ns=update.log_time_ns,
        compute_ns=update.compute_ns,
        held_positions=perception.held_positions,
        probabilities={task: prediction.probabilities for task, prediction in perception.predictions.items()},
        changes=tuple(
            StableLabel(a.task, *(a.results[0] if a.results else ("", 0.0)), a.stamp_ns)
            for a in update.announcements
            if a.stable
        ),
    )


def _facts(
    bag: Path,
    topic: ImageTopic,
    perceiver: Perceiver,
    settings: ReplaySettings,
    truth_source: TruthSource,
    replay: Replay,
    seconds: float,
    warnings: list[str],
) -> dict[str, Any]:
    engine = perceiver.backbone.engine
    span_ns = replay.span_ns or (0, 0)
    return {
        "bag": str(bag.resolve()),
        "image_topic": topic.name,
        "models": list(settings.models),
        "backbone": str(perceiver.backbone.identity),
        "backbone_folder": settings.backbone,
        "engine": f"{engine.name}, {engine.precision}",
        "device": str(perceiver.backbone.device),
        "truth_source": str(truth_source.csv) if truth_source.csv else truth_source.topics,
        "filter": {name: value for name, value in vars(settings.filter).items()},
        "frames": replay.counts,
        "restarts": replay.restarts,
        "seconds": round((span_ns[1] - span_ns[0]) / 1e9, 3),
        "replay_seconds": round(seconds, 3),
        "real_time_factor": round((span_ns[1] - span_ns[0]) / 1e9 / seconds, 2),
        "warnings": warnings,
        "versions": {
            "step_ros": _version("step_ros"),
            "python": platform.python_version(),
            "torch": torch.__version__,
            "machine": f"{platform.machine()}, {os.cpu_count()} CPUs",
        },
    }


@contextmanager
def _warnings() -> Iterator[list[str]]:
    """Collects what the package's log warns of meanwhile."""
    found: list[str] = []

    class Collector(logging.Handler):
        def emit(self, record: logging.LogRecord) -> None:
            message = record.getMessage()
            if message not in found:
                found.append(message)

    handler = Collector(level=logging.WARNING)
    _log.addHandler(handler)
    try:
        yield found
    finally:
        _log.removeHandler(handler)


def _version(name: str) -> str:
    try:
        return importlib.metadata.version(name)
    except importlib.metadata.PackageNotFoundError:
        return ""
