"""A live node, listened to, as a run."""

from __future__ import annotations

import json
import logging
import time
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import rclpy
from rcl_interfaces.srv import GetParameters
from rclpy.executors import SingleThreadedExecutor
from rclpy.parameter import parameter_value_to_python
from rclpy.qos import QoSProfile, ReliabilityPolicy
from rclpy.serialization import serialize_message
from sensor_msgs.msg import CompressedImage, Image

from step_ros.frames import ClipSpec, Frame, ImageError, decode_compressed_image, decode_image
from step_ros.frames.bags.writing import new_mcap_file
from step_ros.perception.loading import find_model
from step_ros.probes import HeadConfig, HeadError
from step_ros.ros.frame_books import frame_counts
from step_ros.ros.listener import Listener
from step_ros.ros.messages import nanoseconds_of
from step_ros.ros.processes.orderly_end import OrderlyEnd
from step_ros.runs.moments import Heard, Moment, Moments, heard_direction
from step_ros.runs.parameters import PARAMETERS
from step_ros.runs.recorder import NOTHING_ELSE, MakeWriter, RunRecorder, WarningsOf, make_room, versions
from step_ros.runs.run import LIVE, Run, RunTask
from step_ros.runs.truth import read_truth_csv, usable_truth
from step_ros.scores.timeline import TruthTimeline

RECORDING = "recording.mcap"
"""The camera's images, beside what was said about them."""

_TURN = 0.05
"""Seconds that are waited for messages at once."""

_SERVICE_TIMEOUT = 5.0
"""Seconds that the node may take to tell its parameters."""

_IMAGES_KEPT = 150
"""Images that wait for what is said about them."""

_log = logging.getLogger("step_ros")


class ListenError(RuntimeError):
    """There is nothing to listen to; the message says what was waited for."""


@dataclass(frozen=True)
class ListenOptions:
    """What is kept of a live node, and what it is compared with."""

    truth: str = "/truth"
    """Prefix of the topics that tell the true labels, one a task."""
    truth_csv: Path | None = None
    """True segments instead, in seconds from the first image that is heard."""
    images: bool = True
    """Whether to record the camera's images too: the report then shows the film and where heads look."""


def head_config(model: str) -> HeadConfig:
    """What a head's config says of its pairs and its idle label; no topic tells a planner."""
    folder = Path(find_model(model))
    if not folder.is_dir():
        from step_ros.probes import Head

        return Head.from_pretrained(model).config
    return HeadConfig.from_json(json.loads((folder / "config.json").read_text(encoding="utf-8")))


class LiveRun:
    """One camera's run, kept in a folder from the first label on; a context manager.

    Args:
        listener: hears the node.
        camera: its name; empty of a node with one.
        settings: the node's parameters.
        out: the folder.
        options: what is kept.
        also: further files by name, and what writes them.
    """

    def __init__(
        self,
        listener: Listener,
        camera: str,
        settings: Mapping[str, Any],
        out: Path,
        options: ListenOptions,
        also: Mapping[str, MakeWriter] = NOTHING_ELSE,
    ) -> None:
        values = listener.values(camera)
        heads = _head_configs(settings.get("models", ()))
        order = values.get("tasks", "").split(", ")
        heard = sorted(
            (task for task in listener.tasks.values() if task.camera == camera),
            key=lambda each: order.index(each.task) if each.task in order else len(order),
        )
        self.run = Run(
            said_by=LIVE,
            recording=str((out / RECORDING).resolve()) if options.images else "",
            image_topic=values.get("image_topic", ""),
            clip=ClipSpec(int(values["window_frames"]), float(values["window_seconds"])),
            tasks={
                each.task: _described(each.task, tuple(each.labels), each.threshold, heads) for each in heard
            },
            settings=dict(settings),
        )
        self._listener = listener
        self._camera = camera
        self._options = options
        self._out = out
        self._also = also
        self._moments = Moments(self.run.tasks)
        self._images: deque[tuple[int, CompressedImage | Image]] = deque(maxlen=_IMAGES_KEPT)
        self._span_ns: tuple[int, int] | None = None  # of the images
        self._said_ns: tuple[int, int] | None = None  # of the windows
        self._csv: dict[str, TruthTimeline] | None = None
        self._stack = ExitStack()

    def hear(self, heard: Heard) -> None:
        """Take a label in."""
        self._keep(self._moments.hear(heard))

    def hear_direction(self, heard: Heard) -> None:
        """Take in what the window read backwards says of a label."""
        task = heard.announcement.task
        if task in self.run.tasks and heard.announcement.results:
            partners = {a: b for pair in self.run.tasks[task].symmetric_pairs for a, b in (pair, pair[::-1])}
            label = heard.announcement.results[-1][0]
            direction = heard_direction(task, heard.announcement.results, partners.get(label, ""))
            self._moments.hear_direction(direction, heard.announcement.stamp_ns)

    def finish(self) -> dict[str, Any]:
        """Score what was heard and write what stands for all of it; to be called once it is closed.

        Returns:
            The metrics, as in metrics.json.
        """
        run, values = self.run, self._listener.values(self._camera)
        run.span_ns = self._span_ns or self._said_ns or (0, 0)
        with WarningsOf(run.warnings):
            known = self._known_truth(run.span_ns)
            run.truth = usable_truth(run, known, required=self._options.truth_csv is not None)
        run.frames = frame_counts(values)
        run.facts = {
            "backbone": values.get("backbone", ""),
            "engine": ", ".join(filter(None, (values.get("engine"), values.get("engine_precision")))),
            "device": values.get("device", ""),
            "truth_source": str(self._options.truth_csv or self._options.truth),
            "versions": {**versions("rclpy"), "rmw": rclpy.get_rmw_implementation_identifier()},
        }
        return self._recorder.finish()

    def __enter__(self) -> LiveRun:
        start_ns = self._listener.get_clock().now().nanoseconds
        self._recorder = RunRecorder(
            self.run, self._out, node=self._listener.perception, start_ns=start_ns, also=self._also
        )
        self._stack.enter_context(WarningsOf(self.run.warnings))
        self._stack.enter_context(self._recorder)
        if self._options.images and self.run.image_topic:
            self._bag = self._stack.enter_context(new_mcap_file(self._out / RECORDING))
            kind = _image_type(self._listener, self.run.image_topic)
            reliable = self._listener.values(self._camera).get("image_reliability") == "reliable"
            policy = ReliabilityPolicy.RELIABLE if reliable else ReliabilityPolicy.BEST_EFFORT
            self._listener.create_subscription(
                kind, self.run.image_topic, self._on_image, QoSProfile(depth=30, reliability=policy)
            )
        return self

    def __exit__(self, *error: Any) -> None:
        self._keep(self._moments.last())
        self._stack.__exit__(*error)

    def _on_image(self, message: CompressedImage | Image) -> None:
        stamp_ns = nanoseconds_of(message.header.stamp)
        kind = f"sensor_msgs/msg/{type(message).__name__}"
        now_ns = self._listener.get_clock().now().nanoseconds
        self._bag.write_cdr(self.run.image_topic, kind, now_ns, bytes(serialize_message(message)))
        self._span_ns = (self._span_ns[0] if self._span_ns else stamp_ns, stamp_ns)
        self._images.append((stamp_ns, message))

    def _keep(self, moment: Moment | None) -> None:
        if moment is None:
            return
        stamp_ns = moment.update.stamp_ns
        first_ns = self._said_ns[0] if self._said_ns else stamp_ns - self.run.clip.window_ns
        self._said_ns = (first_ns, stamp_ns)
        if self._also:  # who draws the moment wants its image, and the truth as far as it is known
            moment = replace(moment, frame=self._frame(stamp_ns))
            waits_for_image = self._options.images and self._span_ns is None
            self.run.truth = self._known_truth(None if waits_for_image else self._span_ns or self._said_ns)
        self._recorder.add(moment)

    def _known_truth(self, span_ns: tuple[int, int] | None) -> dict[str, TruthTimeline]:
        """What the csv says, or else what has been told by now.

        Args:
            span_ns: what the csv's seconds count from, and its end; None if that is not known yet.
        """
        if self._options.truth_csv is not None:
            if self._csv is None and span_ns is not None:
                self._csv = read_truth_csv(self._options.truth_csv, span_ns[0], tuple(self.run.tasks))
            return self._csv or {}
        told = {task: TruthTimeline(self._listener.truth.get(task, ())) for task in self.run.tasks}
        return {task: truth for task, truth in told.items() if truth.changes}

    def _frame(self, stamp_ns: int) -> Frame | None:
        for stamp, message in self._images:
            if stamp == stamp_ns:
                decode = decode_image if isinstance(message, Image) else decode_compressed_image
                try:
                    return Frame(stamp_ns, decode(message))
                except ImageError:  # the node's to complain about
                    return None
        return None


def listen(
    node: str,
    out: Path,
    options: ListenOptions,
    end: OrderlyEnd,
    *,
    until: Callable[[Listener], bool],
    start_timeout: float,
    on_turn: Callable[[Listener], None] = lambda listener: None,
    also: Mapping[str, MakeWriter] = NOTHING_ELSE,
) -> dict[Path, dict[str, Any]]:
    """Listen to a live node and keep what it says: a run in `out`, or in a folder a camera below it.

    Args:
        node: its full name, such as ``/perception``.
        out: folder; earlier runs in it are replaced.
        options: what is kept, and compared with what.
        end: listening ends once it is asked for; what was heard is kept.
        until: asked again and again; listening ends once it says so, too.
        start_timeout: seconds that the node may take until its tasks have told their labels.
        on_turn: called some times a second.
        also: further files by name, and what writes them.

    Returns:
        The metrics by folder.

    Raises:
        ListenError: the node was not there in time, or before the end.
        TruthError: the csv of the truth cannot be used.
    """
    runs: dict[str, LiveRun] = {}

    def on_label(heard: Heard, camera: str) -> None:
        if camera in runs:
            runs[camera].hear(heard)

    def on_direction(heard: Heard, camera: str) -> None:
        if camera in runs:
            runs[camera].hear_direction(heard)

    make_room(out)
    listener = Listener(node, truth=options.truth, on_label=on_label, on_direction=on_direction)
    executor = SingleThreadedExecutor()
    executor.add_node(listener)
    try:
        _wait_until_ready(listener, executor, end, start_timeout, on_turn)
        settings = _settings(listener, executor, end)
        cameras = sorted({task.camera for task in listener.tasks.values()})
        folders = {camera: out / camera if len(cameras) > 1 else out for camera in cameras}
        with ExitStack() as stack:
            for camera in cameras:
                run = LiveRun(listener, camera, settings, folders[camera], options, also)
                runs[camera] = stack.enter_context(run)
            while not end.asked and not until(listener):
                executor.spin_once(timeout_sec=_TURN)
                on_turn(listener)
        return {folders[camera]: run.finish() for camera, run in runs.items()}
    finally:
        executor.shutdown()
        listener.destroy_node()


def _wait_until_ready(
    listener: Listener,
    executor: SingleThreadedExecutor,
    end: OrderlyEnd,
    timeout: float,
    on_turn: Callable[[Listener], None],
) -> None:
    """Until all tasks have told their labels, and diagnostics the window."""
    latest = time.monotonic() + timeout
    while not (listener.ready and "window_frames" in listener.values()):
        if end.asked:
            raise ListenError(f"stopped before {listener.perception} was ready")
        if time.monotonic() > latest:
            said = f"; it says: {listener.status.message}" if listener.status else ""
            others = listener.other_nodes()
            hint = f"; there are {', '.join(others)}" if others else ""
            raise ListenError(f"{listener.perception} was not ready after {timeout:.0f} s{said}{hint}")
        executor.spin_once(timeout_sec=_TURN)
        on_turn(listener)


def _settings(listener: Listener, executor: SingleThreadedExecutor, end: OrderlyEnd) -> dict[str, Any]:
    """The node's parameters by name; those of it that it does not tell have no entry."""
    names = [spec.name for spec in PARAMETERS]
    client = listener.create_client(GetParameters, f"{listener.perception}/get_parameters")
    future = client.call_async(GetParameters.Request(names=names))
    latest = time.monotonic() + _SERVICE_TIMEOUT
    while not (future.done() or end.asked or time.monotonic() > latest):
        executor.spin_once(timeout_sec=_TURN)
    answer = future.result() if future.done() else None
    if answer is None:
        _log.warning(
            "%s does not tell its parameters: pairs and idle labels are unknown", listener.perception
        )
        return {"models": [], "backbone": ""}
    told = zip(names, map(parameter_value_to_python, answer.values), strict=False)
    return {
        name: list(value) if isinstance(value, Sequence) and not isinstance(value, str) else value
        for name, value in told
    }


def _head_configs(models: Sequence[str]) -> dict[str, HeadConfig]:
    """By task, of the heads that can be found from here."""
    found = {}
    for model in models:
        try:
            config = head_config(model)
        except (HeadError, OSError, ValueError) as error:
            _log.warning(
                "the head %s is not to be found from here, so its pairs are unknown: %s", model, error
            )
        else:
            found[config.task] = config
    return found


def _described(
    task: str, labels: tuple[str, ...], threshold: float, heads: Mapping[str, HeadConfig]
) -> RunTask:
    """What a topic tells of a task, and, where the head is known, what only the head knows."""
    if task in heads and heads[task].labels == labels:
        return RunTask.of(heads[task])
    if task in heads:
        _log.warning("%s: the node answers with other labels than the head's, so its pairs are unknown", task)
    return RunTask(labels, rejection_threshold=threshold)


def _image_type(listener: Listener, topic: str) -> type:
    types = dict(listener.get_topic_names_and_types()).get(topic, [])
    return Image if "sensor_msgs/msg/Image" in types else CompressedImage
