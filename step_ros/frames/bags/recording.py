"""The messages of a bag, all topics together, as the bytes that go over the wire."""

from __future__ import annotations

import heapq
import struct
from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path

from rosbags.interfaces import ConnectionExtRosbag2, QosDurability, QosReliability
from rosbags.rosbag2 import Reader

from step_ros.frames.bags.storage import open_bag

_SECOND = 1_000_000_000
_STAMP_OFFSET = 4  # after the encapsulation: a header begins with its stamp


@dataclass(frozen=True)
class RecordedTopic:
    """What a bag says of one topic."""

    name: str
    """With its leading slash."""
    msgtype: str
    """As ``sensor_msgs/msg/Image``."""
    reliable: bool | None
    """Whether its publishers were; None where nobody wrote that down."""
    latched: bool | None
    """Whether its publishers' durability was transient local; None likewise."""


@dataclass(frozen=True)
class RecordedMessage:
    """One message of a bag, as it was recorded."""

    log_time_ns: int
    """When it was recorded."""
    topic: str
    """Where."""
    cdr: bytes
    """What: serialised, with the 4 bytes of encapsulation in front."""


def read_topics(path: Path) -> list[RecordedTopic]:
    """The topics of a bag, in the order of their names.

    Raises:
        BagError: It is no ROS 2 bag, or nothing of it can be read.
    """
    with closing(open_bag(path)) as bag:
        types = {name: topic.msgtype for name, topic in bag.topics.items()}
    offers = _offers(path)
    return [
        RecordedTopic(name, msgtype, *offers.get(name, (None, None)))
        for name, msgtype in sorted(types.items())
    ]


def read_messages(path: Path, topics: list[str]) -> Iterator[RecordedMessage]:
    """The messages on these topics in the order of recording, read as they are asked for.

    Raises:
        BagError: It is no ROS 2 bag, or nothing of it can be read.
    """
    # One reader a topic: a damaged bag can be read topic by topic only.
    streams = [_messages_on(path, topic) for topic in topics]
    return heapq.merge(*streams, key=lambda message: message.log_time_ns)


def read_stamp(cdr: bytes) -> int:
    """The header's stamp, in nanoseconds, of a serialised message that begins with a header.

    Raises:
        ValueError: there are not enough bytes.
    """
    seconds, nanoseconds = struct.unpack_from(_stamp_format(cdr), cdr, _STAMP_OFFSET)
    return int(seconds) * _SECOND + int(nanoseconds)


def write_stamp(cdr: bytes, stamp_ns: int) -> bytes:
    """The same serialised message with another stamp in its header; nothing else changes.

    Raises:
        ValueError: there are not enough bytes.
    """
    patched = bytearray(cdr)
    struct.pack_into(_stamp_format(cdr), patched, _STAMP_OFFSET, stamp_ns // _SECOND, stamp_ns % _SECOND)
    return bytes(patched)


def _stamp_format(cdr: bytes) -> str:
    """How a stamp is packed: int32 seconds, uint32 nanoseconds, in the message's byte order."""
    if len(cdr) < _STAMP_OFFSET + 8:
        raise ValueError(f"a message with a header has at least 12 bytes, this one has {len(cdr)}")
    return "<iI" if cdr[1] & 1 else ">iI"


def _messages_on(path: Path, topic: str) -> Iterator[RecordedMessage]:
    with closing(open_bag(path)) as bag:
        for log_time_ns, cdr in bag.messages(topic):
            yield RecordedMessage(log_time_ns, topic, bytes(cdr))


def _offers(path: Path) -> dict[str, tuple[bool | None, bool | None]]:
    """Reliable and latched, of each topic whose recorder wrote down its publishers' QoS."""
    offers: dict[str, tuple[bool | None, bool | None]] = {}
    try:
        with Reader(path) as reader:
            for connection in reader.connections:
                extension = connection.ext
                if isinstance(extension, ConnectionExtRosbag2) and extension.offered_qos_profiles:
                    profiles = extension.offered_qos_profiles
                    offers[connection.topic] = (
                        all(profile.reliability == QosReliability.RELIABLE for profile in profiles),
                        all(profile.durability == QosDurability.TRANSIENT_LOCAL for profile in profiles),
                    )
    except Exception:  # a damaged bag: the messages before the damage can be played, with what is sensible
        return {}
    return offers
