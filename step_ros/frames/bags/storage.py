"""The raw messages of a bag: a folder or a single file, whole or cut off."""

from __future__ import annotations

import logging
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from rosbags.rosbag2 import Reader

from step_ros.frames.bags.bounded_rosbags import bound_rosbags, unzstd
from step_ros.frames.bags.salvage import SalvagedMessage, salvage_mcap, salvage_sqlite

bound_rosbags()

_log = logging.getLogger(__name__)

_ZSTD_MAGIC = b"\x28\xb5\x2f\xfd"  # no CDR begins with it: its first byte is 0
_SALVAGE: dict[str, Callable[[Path], Iterator[SalvagedMessage]]] = {
    ".mcap": salvage_mcap,
    ".db3": salvage_sqlite,
}


class BagError(ValueError):
    """A bag that cannot be read, or does not hold what was asked for; the message says what it does hold."""


@dataclass(frozen=True)
class Topic:
    """What a bag says of one of its topics."""

    msgtype: str
    """As ``sensor_msgs/msg/Image``."""

    count: int
    """How many messages there are."""


class Storage(Protocol):
    """A bag, opened: a whole one, or what can be salvaged of a damaged one."""

    @property
    def topics(self) -> dict[str, Topic]:
        """The topics by name."""

    def messages(self, topic: str) -> Iterator[tuple[int, bytes]]:
        """Log time in nanoseconds and CDR of each message on ``topic``, in the order of recording."""

    def close(self) -> None:
        """Let go of the files."""


def open_bag(path: Path) -> Storage:
    """Open a bag's folder, or one of its files (.mcap, .db3).

    What was cut off, and a folder whose recorder died before it wrote metadata.yaml, is opened as far as it
    goes, with a warning in the log.

    Raises:
        BagError: It is no ROS 2 bag, or nothing of it can be read.
    """
    if not path.exists():
        raise BagError(f"{path} does not exist; expected a bag: a folder, or a .mcap or .db3 file")
    if path.suffix == ".bag":
        raise BagError(f"{path} is a ROS 1 bag; convert it first: rosbags-convert --src {path} --dst FOLDER")
    try:
        return _WholeBag(path)
    except Exception as error:  # what a damaged file makes rosbags raise is anybody's guess
        reason = f"{type(error).__name__}: {error}"
    if not path.is_dir():
        return _salvage(path, reason)
    parts: list[Storage] = []
    reasons = [reason]
    for file in sorted((file for file in path.iterdir() if file.suffix in _SALVAGE), key=_part_order):
        try:
            parts.append(open_bag(file))
        except BagError as error:
            reasons.append(str(error))
    if not parts:
        raise BagError(f"{path} is not a ROS 2 bag that can be read: {'; '.join(reasons)}")
    _log.warning("%s is damaged (%s); reading its files one by one", path, "; ".join(reasons))
    return _Parts(parts)


class _WholeBag:
    """A bag, or one file of it, as rosbags reads it."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._reader = Reader(path)
        self._reader.open()
        self.topics: dict[str, Topic] = {}
        for connection in self._reader.connections:
            _add(self.topics, connection.topic, connection.msgtype, connection.msgcount)

    def messages(self, topic: str) -> Iterator[tuple[int, bytes]]:
        connections = [connection for connection in self._reader.connections if connection.topic == topic]
        messages = self._reader.messages(connections) if connections else iter(())
        while True:
            try:
                _, log_time_ns, data = next(messages)
                cdr = _cdr(data)
            except StopIteration:
                return
            except Exception as error:  # as above
                _log.warning("%s can be read no further: %s: %s", self._path, type(error).__name__, error)
                return
            yield log_time_ns, cdr

    def close(self) -> None:
        self._reader.close()


class _SalvagedBag:
    """A file without its end."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self.topics: dict[str, Topic] = {}
        for message in _SALVAGE[path.suffix](path):
            _add(self.topics, message.topic, message.msgtype, 1)

    def messages(self, topic: str) -> Iterator[tuple[int, bytes]]:
        for message in _SALVAGE[self._path.suffix](self._path):
            if message.topic == topic:
                yield message.log_time_ns, _cdr(message.data)

    def close(self) -> None:
        """Nothing is held open."""


class _Parts:
    """The files of a bag, one after the other."""

    def __init__(self, parts: list[Storage]) -> None:
        self._parts = parts
        self.topics: dict[str, Topic] = {}
        for part in parts:
            for name, topic in part.topics.items():
                _add(self.topics, name, topic.msgtype, topic.count)

    def messages(self, topic: str) -> Iterator[tuple[int, bytes]]:
        for part in self._parts:
            yield from part.messages(topic)

    def close(self) -> None:
        for part in self._parts:
            part.close()


def _add(topics: dict[str, Topic], name: str, msgtype: str, count: int) -> None:
    before = topics[name].count if name in topics else 0
    topics[name] = Topic(msgtype, before + count)


def _salvage(path: Path, reason: str) -> Storage:
    if path.suffix not in _SALVAGE:
        raise BagError(f"{path} is not a ROS 2 bag; expected a folder, or a .mcap or .db3 file ({reason})")
    bag = _SalvagedBag(path)
    if not bag.topics:
        raise BagError(
            f"{path} ({path.stat().st_size} bytes) is damaged, and no message of it can be read: {reason}"
        )
    total = sum(topic.count for topic in bag.topics.values())
    _log.warning("%s is damaged (%s); reading the %d messages before the damage", path, reason, total)
    return bag


def _part_order(file: Path) -> tuple[str, int]:
    """Recorders number a bag's files: bag_0, ..., bag_10."""
    number = re.search(r"(\d+)$", file.stem)
    return (file.stem[: number.start()], int(number[0])) if number else (file.stem, 0)


def _cdr(data: bytes) -> bytes:
    """Undo the compression of single messages, which only metadata.yaml tells of, and that may be lost."""
    return unzstd(data) if data.startswith(_ZSTD_MAGIC) else data
