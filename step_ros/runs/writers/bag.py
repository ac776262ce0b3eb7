"""Writes what a node would have published to an mcap file, as a recorder beside it would have."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import ExitStack
from pathlib import Path
from types import TracebackType

from step_ros.frames.bags.messages import CLASSIFICATION, LABEL_INFO, classification, label_info
from step_ros.frames.bags.writing import new_mcap_file
from step_ros.perception import Direction
from step_ros.perception.announcements import Announcement
from step_ros.runs.run import RunTask


class PredictionBag:
    """An mcap file of predictions; a context manager, and there is no file before it ends well.

    Topics are the node's, with their QoS, which `ros2 bag play` offers again: ``<node>/<task>``,
    ``<node>/<task>/direction`` where labels have partners, and latched ``<node>/<task>/stable`` and
    ``<node>/<task>/labels``.

    Args:
        path: of the file, which is replaced if it exists.
        node: full name of the node, such as ``/perception``.
        tasks: by name.
        start_ns: log time of the labels.
    """

    def __init__(self, path: Path, node: str, tasks: Mapping[str, RunTask], start_ns: int) -> None:
        self._node = node
        with ExitStack() as stack:
            self._bag = stack.enter_context(new_mcap_file(path))
            for task in tasks:
                self._bag.add_topic(f"{node}/{task}", CLASSIFICATION, latched=False)
            for task in tasks:
                self._bag.add_topic(f"{node}/{task}/stable", CLASSIFICATION, latched=True)
            for task, described in tasks.items():
                if described.symmetric_pairs:
                    self._bag.add_topic(f"{node}/{task}/direction", CLASSIFICATION, latched=False)
                self._bag.add_topic(f"{node}/{task}/labels", LABEL_INFO, latched=True)
                info = label_info(described.labels, described.rejection_threshold, start_ns)
                self._bag.write(f"{node}/{task}/labels", start_ns, info)
            self._stack = stack.pop_all()

    def write(self, announcement: Announcement, *, frame_id: str, log_time_ns: int) -> None:
        """Add one Classification."""
        topic = f"{self._node}/{announcement.task}" + ("/stable" if announcement.stable else "")
        message = classification(announcement.results, announcement.stamp_ns, frame_id)
        self._bag.write(topic, log_time_ns, message)

    def write_direction(
        self, direction: Direction, *, stamp_ns: int, frame_id: str, log_time_ns: int
    ) -> None:
        """Add what the window of that stamp, read backwards, says of a label."""
        message = classification(direction.results, stamp_ns, frame_id)
        self._bag.write(f"{self._node}/{direction.task}/direction", log_time_ns, message)

    def __enter__(self) -> PredictionBag:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._stack.__exit__(kind, error, trace)
