"""A recording through the node's pipeline, as fast as this machine can, with no ROS."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from step_ros.frames import BagError, RecordedFrame, image_topics, read_bag_frames
from step_ros.frames.bags.storage import open_bag
from step_ros.perception import DirectionCheck, Perceiver, Perception
from step_ros.perception.announcements import Announcements
from step_ros.perception.ledger import ByDesign, Clock, Decoding, Inference, Ledger, UnderWay, Used
from step_ros.perception.not_finite import NotFiniteError
from step_ros.perception.rate_limit import is_due
from step_ros.runs.ahead import ahead
from step_ros.runs.encoded_frames import BATCH, EncodedFrame, encoded_frames
from step_ros.runs.moments import Moment, stable_label
from step_ros.runs.run import RunUpdate
from step_ros.runs.settings import ReplaySettings

_ALWAYS_TOLD = (Used.ENCODED, ByDesign.SKIPPED_BY_SAMPLING, UnderWay.PENDING, *Clock)
"""Fates that run.json names though no image met them: no replay is too slow, and few images are broken."""


@dataclass(frozen=True)
class ImageTopic:
    """The images that are replayed."""

    name: str
    """The topic."""
    count: int
    """How many messages the bag says there are."""
    camera: str = ""
    """The node's name for the camera; empty for a single one."""


def choose_image_topic(bag: Path, wanted: str | None) -> ImageTopic:
    """The topic of that name, or the only one.

    Raises:
        BagError: there is none, there are several and none was chosen, or it has no messages; the message
            says what the bag contains.
    """
    read_bag_frames(bag, wanted)  # raises; nothing is read before the first frame is asked for
    names = [wanted] if wanted else list(image_topics(bag))
    storage = open_bag(bag)
    try:
        images = [ImageTopic(name, topic.count) for name, topic in storage.topics.items() if name in names]
        if not images[0].count:
            contents = ", ".join(f"{name} ({topic.count})" for name, topic in sorted(storage.topics.items()))
            raise BagError(f"{images[0].name} of {bag} has no messages; the bag has {contents}")
    finally:
        storage.close()
    return images[0]


def choose_image_topics(bag: Path, wanted: Sequence[str], settings: ReplaySettings) -> list[ImageTopic]:
    """The topics to replay, one after the other.

    Cameras with names have a topic each: the wanted ones in the order of the names, or else the ones that the
    node listens to, such as ``/front/image``.

    Args:
        bag: folder or file.
        wanted: names; none for what there is.
        settings: names the cameras.

    Raises:
        BagError: as `choose_image_topic`, or there is not one topic for each named camera.
    """
    if settings.cameras == ("",):
        return [choose_image_topic(bag, name) for name in wanted or (None,)]
    names = ", ".join(settings.cameras)
    if wanted:
        if len(wanted) != len(settings.cameras):
            raise BagError(
                f"the cameras are {names}: name one topic for each of them, in this order, not {len(wanted)}"
            )
    else:
        namespace = settings.node.rpartition("/")[0]
        suffixes = ["" if each == "raw" else f"/{each}" for each in settings.camera_transports]
        wanted = [
            f"{namespace}/{camera}/image{suffix}"
            for camera, suffix in zip(settings.cameras, suffixes, strict=True)
        ]
        there = list(image_topics(bag))
        missing = [name for name in wanted if name not in there]
        if missing:
            raise BagError(
                f"{bag} has no images on {', '.join(missing)}; with --image-topics, name the topics of the "
                f"cameras {names}, in this order, out of {', '.join(there) or 'none'}"
            )
    return [
        replace(choose_image_topic(bag, name), camera=camera)
        for name, camera in zip(wanted, settings.cameras, strict=True)
    ]


def run_folders(topics: Sequence[ImageTopic], out: Path) -> list[Path]:
    """Where the run of each topic goes: `out`, or of several or named cameras a folder each below it."""
    return [
        out / (topic.camera or topic.name.strip("/").replace("/", "_"))
        if topic.camera or len(topics) > 1
        else out
        for topic in topics
    ]


class Replay:
    """One recording's images through a perceiver, as what the node would have said at each moment.

    Iterate once, then read the counts.

    The backbone encodes several frames at once in a thread of its own while the heads see those before them;
    which frames they are, which windows they make and what is said of them is what the node does with the
    same parameters when it is fast enough for the camera.

    Args:
        bag: folder or file.
        topic: its images.
        perceiver: the pipeline; it is reset.
        settings: what is published of the pipeline's answers, and when.
        rate: seconds of the recording a second; 0 is as fast as can be.
    """

    def __init__(
        self, bag: Path, topic: str, perceiver: Perceiver, settings: ReplaySettings, *, rate: float = 0.0
    ) -> None:
        self._bag = bag
        self._topic = topic
        self._perceiver = perceiver
        self._settings = settings
        self._rate = rate
        self._read = Ledger()  # of images that may be ahead of those which the perceiver has been given
        self._before = Ledger()
        self._restarts_before: Counter[str] = Counter()
        self.not_finite: Counter[str] = Counter()
        """Updates that were lost to NaN or infinity, or lack a task, by what is wrong."""
        self.frames_read = 0
        """Images decoded so far."""
        self.span_ns: tuple[int, int] | None = None
        """Stamps of the first and the last image so far."""

    def __iter__(self) -> Iterator[Moment]:
        perceiver = self._perceiver
        perceiver.reset()
        self._before = perceiver.account()
        announcements = Announcements({task: head.config for task, head in perceiver.heads.items()})
        direction_check = DirectionCheck()
        staleness = _Staleness(self._settings, perceiver)
        last_ns: int | None = None
        max_rate = self._settings.max_update_rate
        self._restarts_before = Counter(perceiver.restarts)
        start = time.monotonic()
        first_ns: int | None = None
        for encoded in ahead(encoded_frames(self._frames(), perceiver), 4 * BATCH):
            trigger = encoded.trigger
            began = time.perf_counter_ns()
            due = not max_rate or is_due(encoded.sampled.frame.stamp_ns, last_ns, max_rate)
            perception = self._perceive(encoded, ask=due)
            compute_ns = encoded.encode_ns + time.perf_counter_ns() - began
            if self._rate:
                first_ns = trigger.log_time_ns if first_ns is None else first_ns
                wait_until = start + (trigger.log_time_ns - first_ns) / 1e9 / self._rate
                time.sleep(max(0.0, wait_until - time.monotonic()))
            if perception is None:
                continue
            last_ns = perception.stamp_ns
            frame = encoded.sampled.frame
            lapsed_ns = staleness.lapsed_ns(trigger.log_time_ns)
            withdrawn = announcements.withdraw(lapsed_ns) if lapsed_ns is not None else []
            said = announcements.of(perception, top_k=self._settings.top_k, settings=self._settings.filter)
            directions = direction_check.check(perception, perceiver, self._settings.direction_max_rate)
            update = RunUpdate(
                stamp_ns=perception.stamp_ns,
                received_ns=trigger.stamp_ns + compute_ns,
                log_time_ns=trigger.log_time_ns,
                probabilities=self._probabilities(perception),
                changes=tuple(stable_label(each) for each in withdrawn + said if each.stable),
                directions=tuple(directions),
                window_start_ns=perception.window_start_ns,
                compute_ns=compute_ns,
                held_positions=perception.held_positions,
            )
            frame_id = frame.frame_id if isinstance(frame, RecordedFrame) else ""
            yield Moment(update, withdrawn + said, frame, frame_id)

    @property
    def restarts(self) -> dict[str, int]:
        """How often time jumped, by kind."""
        restarts = Counter(self._perceiver.restarts)
        restarts.subtract(self._restarts_before)
        return dict(restarts)

    @property
    def counts(self) -> dict[str, int]:
        """What became of the images, as the node's diagnostics name it."""
        seen = self._perceiver.account().since(self._before)
        return self._read.followed_by(seen).to_json(_ALWAYS_TOLD)

    def _perceive(self, encoded: EncodedFrame, *, ask: bool) -> Perception | None:
        """What is said with a frame, if heads are asked; what is no number is counted instead."""
        perception: Perception | None = None
        fate: Used | Inference = Inference.INFERENCE_ERROR
        try:
            self._perceiver.take(encoded.sampled, encoded.tokens)
            fate = Used.ENCODED
            perception = self._perceiver.perceive() if ask else None
        except NotFiniteError as error:
            self.not_finite[str(error)] += 1
        self._perceiver.ledger.settle(fate)
        if perception is not None and perception.not_finite:
            self.not_finite[str(NotFiniteError(perception.not_finite))] += 1
        return perception

    def _probabilities(self, perception: Perception) -> dict[str, NDArray[np.float32]]:
        """By task, (K,); NaN of those whose answer was no number."""
        probabilities = {task: answer.probabilities for task, answer in perception.predictions.items()}
        for task in perception.not_finite:
            labels = self._perceiver.heads[task].config.labels
            probabilities[task] = np.full(len(labels), np.nan, np.float32)
        return probabilities

    def _frames(self) -> Iterator[RecordedFrame]:
        def count(cause: str, message: str) -> None:
            self._read.receive()
            self._read.settle(Decoding.of(cause))

        for frame in read_bag_frames(
            self._bag,
            self._topic,
            max_pixels=self._settings.max_image_pixels,
            grid=self._perceiver.clip,
            on_bad_image=count,
        ):
            self.frames_read += 1
            self._read.receive()
            first_ns = self.span_ns[0] if self.span_ns else frame.stamp_ns
            self.span_ns = (first_ns, frame.stamp_ns)
            yield frame


class _Staleness:
    """When the node would have taken labels back, because none had come for too long.

    Args:
        settings: how long that is.
        perceiver: whose labels they are.
    """

    def __init__(self, settings: ReplaySettings, perceiver: Perceiver) -> None:
        # As the node has it: never less than two steps of the window.
        self._timeout_ns = max(round(settings.staleness_timeout * 1e9), 2 * perceiver.clip.step_ns)
        self._last_ns: int | None = None

    def lapsed_ns(self, now_ns: int) -> int | None:
        """The time at which the labels before these of `now_ns` were stale; None if they were not yet."""
        last_ns, self._last_ns = self._last_ns, now_ns
        if last_ns is None or now_ns - last_ns <= self._timeout_ns:
            return None
        return last_ns + self._timeout_ns
