"""Bags that were cut off: a full disk, a lost connection, a recorder that died."""

from __future__ import annotations

import logging
import struct
import zlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import lz4.frame  # type: ignore[import-untyped]
import numpy as np
import pytest

from step_ros.frames import BagError, image_topics, read_bag_frames
from step_ros.frames.bags.messages import IMAGE, header, typestore
from step_ros.frames.bags.salvage import salvage_mcap

COUNT = 30
WriteBag = Callable[..., Path]


def recording() -> list[tuple[str, int, Any]]:
    """Frame i is taken in second i + 1 and has the level i; noise beside it keeps compression at bay."""
    random = np.random.default_rng(0)
    recorded = []
    for i in range(COUNT):
        data = random.integers(0, 256, 96 * 128, np.uint8)
        data[:128] = i
        message = typestore().types[IMAGE](header((i + 1) * 10**9, "camera"), 96, 128, "mono8", 0, 128, data)
        recorded.append(("/camera", (i + 1) * 10**9, message))
    return recorded


def cut(path: Path, kept: float) -> None:
    content = path.read_bytes()
    path.write_bytes(content[: int(len(content) * kept)])


def levels(path: Path) -> list[int]:
    frames = list(read_bag_frames(path))
    for frame in frames:
        assert (frame.rgb[0] == frame.stamp_ns // 10**9 - 1).all()
    return [int(frame.rgb[0, 0, 0]) for frame in frames]


def one_chunk(compress: Callable[[bytes], bytes], name: str) -> bytes:
    """An MCAP whose only chunk holds all messages, as a recorder with a large chunk size writes it."""

    def string(text: str) -> bytes:
        return struct.pack("<I", len(text)) + text.encode()

    def record(opcode: int, content: bytes) -> bytes:
        return struct.pack("<BQ", opcode, len(content)) + content

    records = record(3, struct.pack("<H", 1) + string(IMAGE) + string("ros2msg") + struct.pack("<I", 0))
    records += record(4, struct.pack("<HH", 1, 1) + string("/camera") + string("cdr") + struct.pack("<I", 0))
    for i, (_, time, message) in enumerate(recording()):
        cdr = typestore().serialize_cdr(message, IMAGE)
        records += record(5, struct.pack("<HIQQ", 1, i, time, time) + bytes(cdr))
    packed = compress(records)
    chunk = struct.pack("<QQQI", 10**9, COUNT * 10**9, len(records), zlib.crc32(records)) + string(name)
    chunk += struct.pack("<Q", len(packed)) + packed
    return b"\x89MCAP0\r\n" + record(1, string("ros2") + string("test")) + record(6, chunk)


@pytest.mark.parametrize("kept", [0.5, 0.7, 0.95])
@pytest.mark.parametrize("has_metadata", [True, False])
@pytest.mark.parametrize(
    ("storage", "compression"),
    [("mcap", "none"), ("mcap", "message"), ("mcap", "storage"), ("sqlite3", "none"), ("sqlite3", "message")],
)
def test_a_bag_cut_off_is_read_to_its_last_good_message(
    write_bag: WriteBag,
    caplog: pytest.LogCaptureFixture,
    storage: str,
    compression: str,
    kept: float,
    has_metadata: bool,
) -> None:
    bag = write_bag(recording(), storage=storage, compression=compression)
    (file,) = (*bag.glob("*.mcap"), *bag.glob("*.db3"))
    cut(file, kept)
    if not has_metadata:
        (bag / "metadata.yaml").unlink()
    with caplog.at_level(logging.WARNING):
        read = levels(bag)
    assert read == list(range(len(read)))
    assert COUNT * kept * 0.75 - 1 <= len(read) <= COUNT
    assert str(bag) in caplog.text and "damaged" in caplog.text
    assert levels(file) == read


def test_a_whole_file_without_metadata_is_read_whole(write_bag: WriteBag) -> None:
    bag = write_bag(recording())
    (bag / "metadata.yaml").unlink()
    assert levels(bag) == list(range(COUNT))


@pytest.mark.parametrize("name", ["", "lz4", "zstd"])
def test_a_chunk_cut_off_is_read_as_far_as_it_goes(tmp_path: Path, name: str) -> None:
    backports = pytest.importorskip("backports.zstd" if name == "zstd" else "lz4")
    compress = {"": bytes, "lz4": lz4.frame.compress, "zstd": getattr(backports, "compress", bytes)}[name]
    file = tmp_path / "one_chunk.mcap"
    file.write_bytes(one_chunk(compress, name))
    assert levels(file) == list(range(COUNT))  # only the index is missing
    cut(file, 0.5)
    read = levels(file)
    assert read == list(range(len(read)))
    assert COUNT * 0.3 < len(read) <= COUNT * 0.5


def test_a_chunk_that_was_overwritten_is_not_trusted(tmp_path: Path) -> None:
    content = bytearray(one_chunk(bytes, ""))
    content[len(content) // 2] ^= 0xFF
    file = tmp_path / "overwritten.mcap"
    file.write_bytes(content)
    assert list(salvage_mcap(file)) == []
    with pytest.raises(BagError, match="no message of it can be read"):
        image_topics(file)


@pytest.mark.parametrize("step", [97])
def test_an_mcap_may_be_cut_anywhere(tmp_path: Path, step: int) -> None:
    """Neither the chunk's own header nor a record's may be half there and do harm."""
    content = one_chunk(bytes, "")
    file = tmp_path / "cut.mcap"
    found = 0
    for size in [*range(0, 300), *range(300, len(content), len(content) // step)]:
        file.write_bytes(content[:size])
        count = sum(1 for _ in salvage_mcap(file))
        assert count >= found  # more of the file never gives less
        found = count
    assert found >= COUNT - 1


def test_the_files_of_a_split_bag_are_read_in_order_and_the_last_may_be_broken(
    write_bag: WriteBag, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    split = tmp_path / "split"
    split.mkdir()
    recorded = recording()
    for part, number in enumerate([0, 2, 10]):  # 10 sorts before 2 by letters
        (file,) = write_bag(recorded[part * 10 : part * 10 + 10], name=f"part_{number}").glob("*.mcap")
        file.rename(split / f"split_{number}.mcap")
    (split / "split_11.mcap").write_bytes(b"\x89MCAP0\r\n")
    with caplog.at_level(logging.WARNING):
        assert levels(split) == list(range(COUNT))
    assert "split_11.mcap" in caplog.text
    cut(split / "split_10.mcap", 0.5)
    read = levels(split)
    assert 20 < len(read) < COUNT and read == list(range(len(read)))


def test_a_file_of_nothing_is_named(tmp_path: Path) -> None:
    for name in ("empty.mcap", "empty.db3"):
        (tmp_path / name).write_bytes(b"")
        with pytest.raises(BagError, match=rf"{name} \(0 bytes\) is damaged"):
            image_topics(tmp_path / name)
