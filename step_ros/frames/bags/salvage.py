"""What can still be read of a bag's file that was cut off?"""

from __future__ import annotations

import os
import sqlite3
import struct
import sys
import zlib
from collections.abc import Iterator
from contextlib import closing
from io import BytesIO
from pathlib import Path
from typing import BinaryIO, NamedTuple

from step_ros.frames.bags.bounded_rosbags import HostileFileError, check_schema, unlz4, unzstd

if sys.version_info >= (3, 14):
    from compression import zstd
else:
    from backports import zstd

_MCAP_MAGIC = b"\x89MCAP0\r\n"
_SCHEMA, _CHANNEL, _MESSAGE, _CHUNK = 0x03, 0x04, 0x05, 0x06


class SalvagedMessage(NamedTuple):
    """A message as it stands in a bag's file."""

    topic: str
    """The topic's name."""

    msgtype: str
    """As ``sensor_msgs/msg/Image``."""

    log_time_ns: int
    """When it was recorded, in nanoseconds."""

    data: bytes
    """The message as CDR, unless the bag compresses each message."""


def salvage_mcap(path: Path) -> Iterator[SalvagedMessage]:
    """The messages of an MCAP file that has lost its end, in the file's order, to the last whole one.

    Reads the records one after the other (https://mcap.dev/spec) and needs no index. Of the chunk that was
    cut, whatever can be decompressed is read too: a chunk may be seconds long. A file that is no MCAP has
    no messages.
    """
    with path.open("rb") as file:
        if file.read(len(_MCAP_MAGIC)) == _MCAP_MAGIC:
            yield from _messages(file, schemas={}, channels={})


def salvage_sqlite(path: Path) -> Iterator[SalvagedMessage]:
    """The messages of an SQLite file that has lost its end, as recorded, to the last whole one."""
    # Immutable: whatever lies beside the file, nothing is to be created or rolled back.
    with closing(sqlite3.connect(f"{path.resolve().as_uri()}?immutable=1", uri=True)) as database:
        try:
            # SQLite refuses a file shorter than its header says, except in this mode, made for recovery.
            database.execute("PRAGMA writable_schema=ON")
            check_schema(database)
            rows = database.execute("SELECT id, name, type FROM topics")
            topics = {key: (name, msgtype) for key, name, msgtype in rows}
            rows = database.execute("SELECT topic_id, timestamp, data FROM messages ORDER BY id")
            for key, log_time_ns, data in rows:
                if key in topics:
                    yield SalvagedMessage(*topics[key], log_time_ns, data)
        except (sqlite3.DatabaseError, HostileFileError):
            return  # here begins what is missing


def _messages(
    stream: BinaryIO, schemas: dict[int, str], channels: dict[int, tuple[str, str]]
) -> Iterator[SalvagedMessage]:
    """The messages in a stream of MCAP records; fills in the names that later records refer to by number."""
    for opcode, content, whole in _records(stream):
        try:
            if opcode == _CHUNK:
                records = _decompress(content)
                yield from _messages(BytesIO(records), schemas, channels)
            elif not whole:
                return
            elif opcode == _SCHEMA:
                (key,) = struct.unpack_from("<H", content)
                schemas[key], _ = _string(content, 2)
            elif opcode == _CHANNEL:
                key, schema = struct.unpack_from("<HH", content)
                topic, _ = _string(content, 4)
                channels[key] = topic, schemas.get(schema, "")
            elif opcode == _MESSAGE:
                key, _, log_time_ns, _ = struct.unpack_from("<HIQQ", content)
                if key in channels:
                    yield SalvagedMessage(*channels[key], log_time_ns, content[22:])
        except (struct.error, UnicodeDecodeError, zstd.ZstdError, RuntimeError, HostileFileError):
            return  # not truncated but overwritten: nothing after it can be trusted


def _records(stream: BinaryIO) -> Iterator[tuple[int, bytes, bool]]:
    """Each record's opcode and content, and whether all of the content is there."""
    here = stream.tell()
    left = stream.seek(0, os.SEEK_END) - here
    stream.seek(here)
    while left >= 9:
        opcode, length = struct.unpack("<BQ", stream.read(9))
        left -= 9
        # A length may be nonsense: never ask for more than there is.
        yield opcode, stream.read(min(length, left)), length <= left
        left -= min(length, left)


def _decompress(chunk: bytes) -> bytes:
    """The records in a chunk, as far as it goes.

    Raises:
        struct.error: The chunk's own header is cut.
        RuntimeError: Its compression is unknown, its checksum is wrong, or it is no LZ4.
        zstd.ZstdError: It is no Zstandard.
        HostileFileError: It would become larger than any chunk.
    """
    size, checksum = struct.unpack_from("<QI", chunk, 16)
    compression, at = _string(chunk, 28)
    (length,) = struct.unpack_from("<Q", chunk, at)
    packed = chunk[at + 8 : at + 8 + length]
    if compression == "":
        records = packed
    elif compression == "zstd":
        records = unzstd(packed, whole=False)
    elif compression == "lz4":
        records = unlz4(packed)
    else:
        raise RuntimeError(f"unknown compression {compression!r}")
    if len(records) == size and checksum and zlib.crc32(records) != checksum:
        raise RuntimeError("wrong checksum")
    return bytes(records)


def _string(content: bytes, at: int) -> tuple[str, int]:
    """The string at ``at``, and where it ends."""
    (length,) = struct.unpack_from("<I", content, at)
    end = at + 4 + length
    if end > len(content):
        raise struct.error(f"a string of {length} bytes in a record of {len(content)}")
    return content[at + 4 : end].decode(), end
