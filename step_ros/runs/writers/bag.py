"""Writes what a node would have published to an mcap file, as a recorder beside it would have."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Mapping
from pathlib import Path
from types import TracebackType
from typing import Any

from rosbags.interfaces import (
    Connection,
    Qos,
    QosDurability,
    QosHistory,
    QosLiveliness,
    QosReliability,
    QosTime,
)
from rosbags.rosbag2 import StoragePlugin, Writer

from step_ros.frames import typestore
from step_ros.perception.announcements import Announcement
from step_ros.runs.run import RunTask

CLASSIFICATION = "vision_msgs/msg/Classification"
LABEL_INFO = "vision_msgs/msg/LabelInfo"

_FOREVER = QosTime(2147483647, 4294967295)


class PredictionBag:
    """An mcap file of predictions; a context manager, and there is no file before it ends well.

    Topics are the node's: ``<node>/<task>``, and latched ``<node>/<task>/stable`` and
    ``<node>/<task>/labels``, with their QoS, which `ros2 bag play` offers again.

    Args:
        path: of the file, which is replaced if it exists.
        node: full name of the node, such as ``/perception``.
        tasks: by name.
        start_ns: log time of the labels.
    """

    def __init__(self, path: Path, node: str, tasks: Mapping[str, RunTask], start_ns: int) -> None:
        self._path = path
        self._folder = Path(tempfile.mkdtemp(dir=path.parent, prefix=f".{path.stem}_"))
        self._writer = Writer(self._folder / path.stem, version=9, storage_plugin=StoragePlugin.MCAP)
        self._writer.open()
        self._labels = {task: self._topic(f"{node}/{task}", CLASSIFICATION, latched=False) for task in tasks}
        self._stable = {
            task: self._topic(f"{node}/{task}/stable", CLASSIFICATION, latched=True) for task in tasks
        }
        for task, described in tasks.items():
            connection = self._topic(f"{node}/{task}/labels", LABEL_INFO, latched=True)
            self._write(connection, start_ns, _label_info(described, start_ns))

    def write(self, announcement: Announcement, *, frame_id: str, log_time_ns: int) -> None:
        """Add one Classification."""
        types = typestore().types
        hypotheses = [
            types["vision_msgs/msg/ObjectHypothesis"](label, score) for label, score in announcement.results
        ]
        message = types[CLASSIFICATION](_header(announcement.stamp_ns, frame_id), hypotheses)
        topics = self._stable if announcement.stable else self._labels
        self._write(topics[announcement.task], log_time_ns, message)

    def __enter__(self) -> PredictionBag:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        try:
            self._writer.close()
            if error is None:
                written = self._folder / self._path.stem / f"{self._path.stem}.mcap"
                written.replace(self._path)
        finally:
            shutil.rmtree(self._folder)

    def _topic(self, name: str, msgtype: str, *, latched: bool) -> Connection:
        qos = Qos(
            history=QosHistory.KEEP_LAST,
            depth=1 if latched else 10,
            reliability=QosReliability.RELIABLE,
            durability=QosDurability.TRANSIENT_LOCAL if latched else QosDurability.VOLATILE,
            deadline=_FOREVER,
            lifespan=_FOREVER,
            liveliness=QosLiveliness.AUTOMATIC,
            liveliness_lease_duration=_FOREVER,
            avoid_ros_namespace_conventions=False,
        )
        return self._writer.add_connection(name, msgtype, typestore=typestore(), offered_qos_profiles=[qos])

    def _write(self, connection: Connection, log_time_ns: int, message: Any) -> None:
        cdr = typestore().serialize_cdr(message, connection.msgtype)
        self._writer.write(connection, log_time_ns, cdr)


def _header(stamp_ns: int, frame_id: str) -> Any:
    types = typestore().types
    stamp = types["builtin_interfaces/msg/Time"](stamp_ns // 1_000_000_000, stamp_ns % 1_000_000_000)
    return types["std_msgs/msg/Header"](stamp, frame_id)


def _label_info(task: RunTask, stamp_ns: int) -> Any:
    types = typestore().types
    classes = [types["vision_msgs/msg/VisionClass"](i, label) for i, label in enumerate(task.labels)]
    return types[LABEL_INFO](_header(stamp_ns, ""), classes, task.rejection_threshold)
