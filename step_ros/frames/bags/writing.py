"""Writing recordings: messages on topics, to a bag's folder or to a single file."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
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
from rosbags.rosbag2 import CompressionFormat, CompressionMode, StoragePlugin, Writer

from step_ros.atomic_files import new_file
from step_ros.frames.bags.messages import typestore

_FOREVER = QosTime(2147483647, 4294967295)


class BagWriter:
    """What a new recording takes; `new_bag` and `new_mcap_file` make one.

    Args:
        writer: opened.
    """

    def __init__(self, writer: Writer) -> None:
        self._writer = writer
        self._connections: dict[str, Connection] = {}

    def add_topic(self, name: str, msgtype: str, *, latched: bool | None = None) -> None:
        """Add a topic before its first message: to fix the order of topics, their QoS, or that it is empty.

        Args:
            name: with its leading slash.
            msgtype: as ``sensor_msgs/msg/Image``.
            latched: the QoS that is written down and that `ros2 bag play` offers again: reliable, and
                transient local or volatile. None writes nothing down.
        """
        self._connections[name] = self._writer.add_connection(
            name,
            msgtype,
            typestore=typestore(),
            offered_qos_profiles=[] if latched is None else [_reliable(latched)],
        )

    def write(self, topic: str, log_time_ns: int, message: Any) -> None:
        """Add a message, one of rosbags' own, as it is recorded at a time."""
        msgtype = message.__msgtype__
        self.write_cdr(topic, msgtype, log_time_ns, typestore().serialize_cdr(message, msgtype))

    def write_cdr(self, topic: str, msgtype: str, log_time_ns: int, cdr: bytes | memoryview) -> None:
        """Add a message that is serialised already."""
        if topic not in self._connections:
            self.add_topic(topic, msgtype)
        self._writer.write(self._connections[topic], log_time_ns, cdr)


@contextmanager
def new_bag(
    path: Path,
    *,
    storage: StoragePlugin = StoragePlugin.MCAP,
    compression: CompressionMode = CompressionMode.NONE,
) -> Iterator[BagWriter]:
    """Write a bag's folder.

    Args:
        path: the folder; must not exist.
        storage: of its file.
        compression: by zstd, of messages, the file or the storage's own chunks.

    Raises:
        rosbags.rosbag2.WriterError: `path` exists.

    Example:
        >>> with new_bag(folder / "bag") as bag:
        ...     bag.write("/truth/object", 1_000_000_000, classification([("cup", 1.0)], 1_000_000_000))
    """
    writer = Writer(path, version=9, storage_plugin=storage)
    writer.set_compression(compression, CompressionFormat.ZSTD)
    with writer:
        yield BagWriter(writer)


@contextmanager
def new_mcap_file(path: Path) -> Iterator[BagWriter]:
    """Write an mcap file by itself; there is no file, or still the old one, before it ends well."""
    with new_file(path) as draft:
        folder = draft.parent / "bag"
        with new_bag(folder) as bag:
            yield bag
        (folder / "bag.mcap").replace(draft)


def _reliable(latched: bool) -> Qos:
    return Qos(
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
