"""How much may a bag make `rosbags` do? Compressed data have a bound, and an SQLite file runs nothing.

`rosbags` decompresses chunks, messages and files to whatever size, and asks SQLite files whose tables may be
views, which are programs. `bound_rosbags` lets it do both by what is here.
"""

from __future__ import annotations

import os
import sqlite3
import sys
from types import ModuleType
from typing import Any, BinaryIO

import apsw
from lz4.frame import LZ4FrameDecompressor  # type: ignore[import-untyped]
from rosbags.rosbag2 import reader, storage_mcap, storage_sqlite3

if sys.version_info >= (3, 14):
    from compression import zstd
else:
    from backports import zstd

MAX_BYTES = 200_000_000
"""Of a message or a chunk: the largest image that is decoded has as much as raw RGB."""

_MAX_RATIO = 1_000  # of a larger file; images as recorded do not come near, black ones among them

_CODE = "SELECT name FROM sqlite_master WHERE type NOT IN ('table', 'index') OR sql LIKE 'CREATE VIRTUAL%'"
_COMPUTED = (
    "SELECT m.name FROM sqlite_master AS m, pragma_table_xinfo(m.name) AS c "
    "WHERE m.type = 'table' AND c.hidden != 0"
)


class HostileFileError(ValueError):
    """A file asks for more than any bag does; the message says for what."""


def unzstd(data: bytes, *, most: int = MAX_BYTES, whole: bool = True) -> bytes:
    """What was compressed as Zstandard, of one or several frames.

    Args:
        data: compressed.
        most: bytes that it may become.
        whole: whether it is an error if the data end within a frame.

    Raises:
        HostileFileError: it is more.
        zstd.ZstdError: this is no Zstandard, or cut off.
    """
    frames, size, rest = list[bytes](), 0, data
    while rest or not frames:
        frame = zstd.ZstdDecompressor()
        frames.append(frame.decompress(rest, most + 1 - size))
        size += len(frames[-1])
        if size > most:
            raise HostileFileError(f"{len(data):,} compressed bytes would become more than {most:,}")
        if not frame.eof:
            if whole:
                raise zstd.ZstdError("the compressed data are cut off")
            break
        rest = frame.unused_data
    return b"".join(frames)


def unlz4(data: bytes, *, most: int = MAX_BYTES) -> bytes:
    """What was compressed as an LZ4 frame, as far as it goes.

    Raises:
        HostileFileError: it is more than `most` bytes.
        RuntimeError: this is no LZ4.
    """
    content: bytes = LZ4FrameDecompressor().decompress(data, most + 1)
    if len(content) > most:
        raise HostileFileError(f"{len(data):,} compressed bytes would become more than {most:,}")
    return content


def check_schema(database: sqlite3.Connection | apsw.Connection) -> None:
    """Make sure that an SQLite file holds data alone: no views, triggers, or computed columns.

    Raises:
        HostileFileError: it holds one; it is named.
    """
    database.execute("PRAGMA trusted_schema=OFF")
    for query in (_CODE, _COMPUTED):
        for (name,) in database.execute(query):
            raise HostileFileError(f"{name!r:.80} is computed when it is read; a bag has plain tables alone")


def bound_rosbags() -> None:
    """Put what is here in the place of what `rosbags` uses."""
    storage_mcap.DECOMPRESSORS |= {
        "lz4": lambda data, size: unlz4(data),
        "zstd": lambda data, size: unzstd(data),
    }
    _replace(reader, "zstd", zstd, decompress=unzstd, open=_open)
    _replace(storage_sqlite3, "apsw", apsw, Connection=_TablesOnly)


def _replace(module: ModuleType, name: str, used: ModuleType, **others: Any) -> None:
    """Let a module see another one with some of it replaced, and nobody else."""
    changed = ModuleType(used.__name__)
    vars(changed).update(vars(used), **others)
    setattr(module, name, changed)


class _BoundedFile(zstd.ZstdFile):
    """A compressed file that cannot be read to more than a thousand times its size."""

    def __init__(self, file: BinaryIO) -> None:
        super().__init__(file)
        self._most = max(MAX_BYTES, _MAX_RATIO * os.fstat(file.fileno()).st_size)

    def read(self, size: int | None = -1) -> bytes:
        """As any file's."""
        content: bytes = super().read(size)
        if self.tell() > self._most:
            raise HostileFileError(f"the compressed file would become more than {self._most:,} bytes")
        return content


def _open(file: Any, mode: Any) -> Any:
    return _BoundedFile(file) if mode == "rb" else zstd.open(file, mode)


class _TablesOnly(apsw.Connection):
    """A connection to a file that holds data alone."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        check_schema(self)
