"""Files that somebody made to harm: refused by name, soon, and in little memory.

Each takes less than a second and 500 MB; the bounds here are wider, for machines that are busy.
"""

from __future__ import annotations

import json
import os
import resource
import signal
import sqlite3
import struct
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
import torch
import yaml
from rosbags.rosbag2 import Reader
from safetensors.torch import load_file, save_file

from step_ros.backbones import Backbone, BackboneError
from step_ros.backbones.identity import BackboneIdentity
from step_ros.frames import BagError, ClipSpec, read_bag_frames
from step_ros.frames.bags.bounded_rosbags import zstd
from step_ros.probes import Head, HeadConfig, HeadError, ProbeConfig
from step_ros.shared_files import shared_folder

from ..short_bag import first_seconds
from ..tiny_models import save_vit

SECONDS = 10
MOST_GROWTH_MB = 500

CONFIG = HeadConfig(
    task="atomic_action",
    labels=("idle", "push", "pull"),
    clip=ClipSpec(4, 0.4),
    probe=ProbeConfig(dim=16, num_heads=2),
    backbone=BackboneIdentity(id="a/b", image_size=(32, 32), num_patches=4, dim=16, sha256="0" * 64),
)


@pytest.fixture(scope="module", autouse=True)
def libraries() -> None:
    """Loads what is loaded once, which is not counted."""
    Backbone.from_pretrained(shared_folder() / "models" / "tabletop" / "backbone")


@contextmanager
def bounds() -> Iterator[None]:
    """Ends what takes too long, even to open a file, and fails what takes too much memory."""

    def too_long(*_: object) -> None:
        pytest.fail(f"not refused within {SECONDS} seconds")

    before_mb = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    space = resource.getrlimit(resource.RLIMIT_AS)
    used = int(Path("/proc/self/statm").read_text().split()[0]) * resource.getpagesize()
    resource.setrlimit(resource.RLIMIT_AS, (used + 2 * 1024**3, space[1]))
    handler = signal.signal(signal.SIGALRM, too_long)
    signal.setitimer(signal.ITIMER_REAL, SECONDS)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, handler)
        resource.setrlimit(resource.RLIMIT_AS, space)
    growth_mb = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024 - before_mb
    assert growth_mb < MOST_GROWTH_MB, f"the process grew by {growth_mb:.0f} MB"


def change(path: Path, **changes: Any) -> None:
    path.write_text(json.dumps({**json.loads(path.read_text()), **changes}))


def scale(path: Path, name: str, factor: float) -> None:
    weights = load_file(path)
    (found,) = [key for key in weights if key.endswith(name)]
    weights[found] *= factor
    save_file(weights, path, metadata={"format": "pt"})


def replace_by_pipe(path: Path) -> None:
    path.unlink()
    os.mkfifo(path)


def replace_by_device(path: Path) -> None:
    path.unlink()
    path.symlink_to("/dev/zero")


def write_header(path: Path, header: str) -> None:
    path.write_bytes(struct.pack("<Q", len(header)) + header.encode() + bytes(64))


def lead_out_of_the_folder(folder: Path) -> None:
    """Let the weights be in two files, one of which is a link to a folder that is somebody else's."""
    weights = folder / "model.safetensors"
    other = folder.parent / "elsewhere"
    other.mkdir()
    names = sorted(load_file(weights))
    weights.rename(other / "model-2.safetensors")
    (folder / "model-2.safetensors").symlink_to(other / "model-2.safetensors")
    index = {"weight_map": dict.fromkeys(names, "model-2.safetensors")}
    (folder / "model.safetensors.index.json").write_text(json.dumps(index))


HOSTILE_BACKBONES: dict[str, tuple[Callable[[Path], object], str]] = {
    "weights that give NaN": (
        lambda folder: scale(folder / "model.safetensors", "layernorm.weight", 3e38),
        "backbone gives tokens that are not finite",
    ),
    "50 million classes": (
        lambda folder: change(folder / "config.json", num_labels=50_000_000),
        "num_labels must be a whole number up to 100000, got 50000000",
    ),
    "a million names of classes": (
        lambda folder: change(folder / "config.json", id2label={str(i): f"class {i}" for i in range(10**6)}),
        r"config\.json is larger than 4,194,304 bytes",
    ),
    "weights elsewhere": (
        lambda folder: change(folder / "config.json", transformers_weights="../elsewhere.safetensors"),
        r"takes its weights from '\.\./elsewhere\.safetensors'",
    ),
    "weights in a pickle": (
        lambda folder: change(folder / "config.json", transformers_weights="pytorch_model.bin"),
        r"takes its weights from 'pytorch_model\.bin'",
    ),
    "weights behind a link": (lead_out_of_the_folder, r"model-2\.safetensors is a link out of the folder"),
    "a pipe for weights": (
        lambda folder: replace_by_pipe(folder / "model.safetensors"),
        r"model\.safetensors is no regular file",
    ),
    "a pipe for a config": (
        lambda folder: replace_by_pipe(folder / "config.json"),
        r"config\.json is no regular file",
    ),
    "an endless config": (
        lambda folder: replace_by_device(folder / "config.json"),
        r"config\.json is no regular file",
    ),
    "an endless preprocessor": (
        lambda folder: replace_by_device(folder / "preprocessor_config.json"),
        r"preprocessor_config\.json is no regular file",
    ),
    "endless weights": (
        lambda folder: replace_by_device(folder / "model.safetensors"),
        r"model\.safetensors is no regular file",
    ),
    "a shape of huge integers": (
        lambda folder: write_header(
            folder / "model.safetensors",
            json.dumps({"a": {"dtype": "F32", "shape": [10**4000] * 3000, "data_offsets": [0, 64]}}),
        ),
        r"model\.safetensors has a corrupt header \(a is 'F32' of shape",
    ),
    "a deep config": (
        lambda folder: (folder / "config.json").write_text("[" * 500_000 + "]" * 500_000),
        r"config\.json is not JSON",
    ),
    "a deep header": (
        lambda folder: write_header(folder / "model.safetensors", "[" * 500_000 + "]" * 500_000),
        "corrupt header",
    ),
    "a deep index": (
        lambda folder: (
            (folder / "model.safetensors").unlink(),
            (folder / "model.safetensors.index.json").write_text('{"a":' * 200_000 + "1" + "}" * 200_000),
        ),
        r"index\.json is not JSON",
    ),
    "as many blocks as there may be": (
        lambda folder: change(folder / "config.json", num_hidden_layers=128, hidden_size=16_384),
        "asks for a network of",
    ),
}


@pytest.mark.parametrize("what", HOSTILE_BACKBONES)
def test_backbones(what: str, tmp_path: Path) -> None:
    spoil, words = HOSTILE_BACKBONES[what]
    spoil(save_vit(tmp_path / "backbone"))
    with bounds(), pytest.raises(BackboneError, match=words):
        Backbone.from_pretrained(tmp_path / "backbone")


def describe_patches_without_end(folder: Path) -> None:
    config = json.loads((folder / "config.json").read_text())
    config["backbone"] |= {"image_size": [65_536, 65_536], "num_patches": 65_536**2}
    config["probe"]["kind"] = "moments"
    (folder / "config.json").write_text(json.dumps(config))


HOSTILE_HEADS: dict[str, tuple[Callable[[Path], object], str]] = {
    "weights that hold NaN": (
        lambda folder: scale(folder / "model.safetensors", "classifier.weight", float("nan")),
        r"model\.safetensors holds values that are not finite, in probe\.classifier\.weight",
    ),
    "weights that give NaN": (
        lambda folder: [
            scale(folder / "model.safetensors", name, 1e30)
            for name in ("out_proj.weight", "classifier.weight")
        ],
        r"model\.safetensors gives no probabilities, of whatever tokens",
    ),
    "the smallest temperature": (
        lambda folder: change(folder / "config.json", temperature=5e-324),
        "temperature must be a positive number",
    ),
    "100,000 labels": (
        lambda folder: change(
            folder / "config.json",
            labels=[f"label {i}" for i in range(100_000)],
            symmetric_pairs=[[f"label {i}", f"label {i + 1}"] for i in range(0, 100_000, 2)],
        ),
        r"does not fit its config: probe\.classifier",
    ),
    "100,000 labels that are all twice there": (
        lambda folder: change(folder / "config.json", labels=[f"label {i // 2}" for i in range(100_000)]),
        "labels must be unique, got twice: .* and 49980 more",
    ),
    "patches without end": (describe_patches_without_end, "num_patches must be a whole number from 1 to"),
    "a pipe for a config": (
        lambda folder: replace_by_pipe(folder / "config.json"),
        r"config\.json is no regular file",
    ),
    "endless weights": (
        lambda folder: replace_by_device(folder / "model.safetensors"),
        r"model\.safetensors is no regular file",
    ),
    "a label that ends a line": (
        lambda folder: change(folder / "config.json", labels=["idle", "push", "pull\x1b[2J"]),
        r"the label 'pull\\x1b\[2J' holds the control character U\+001B",
    ),
}


@pytest.mark.parametrize("what", HOSTILE_HEADS)
def test_heads(what: str, tmp_path: Path) -> None:
    spoil, words = HOSTILE_HEADS[what]
    torch.manual_seed(0)
    Head(CONFIG).save_pretrained(tmp_path)
    spoil(tmp_path)
    with bounds(), pytest.raises(HeadError, match=words):
        Head.from_pretrained(tmp_path)


def bomb() -> bytes:
    """A frame of some 200 kB that stands for 6 GiB of zeros."""
    block = (131_072 << 3 | 1 << 1).to_bytes(3, "little") + b"\0"  # 128 KiB of one byte
    last = (131_072 << 3 | 1 << 1 | 1).to_bytes(3, "little") + b"\0"
    return b"\x28\xb5\x2f\xfd" + b"\x00\x38" + block * (6 * 8192 - 1) + last  # no size is given


def refused(bag: Path, words: str) -> None:
    with bounds(), pytest.raises(BagError, match=words):
        list(read_bag_frames(bag))


def string(text: str) -> bytes:
    return struct.pack("<I", len(text)) + text.encode()


def test_a_chunk_that_would_be_gigabytes(tmp_path: Path) -> None:
    def record(opcode: int, content: bytes) -> bytes:
        return struct.pack("<BQ", opcode, len(content)) + content

    packed = bomb()
    assert len(packed) < 200_000
    chunk = struct.pack("<QQQI", 0, 10**9, 6 * 1024**3, 0) + string("zstd") + struct.pack("<Q", len(packed))
    path = tmp_path / "bomb.mcap"
    path.write_bytes(
        b"\x89MCAP0\r\n" + record(1, string("ros2") + string("x")) + record(6, chunk + packed)
        + record(15, bytes(4)) + record(2, bytes(20)) + b"\x89MCAP0\r\n"
    )  # fmt: skip
    refused(path, r"bomb\.mcap .*196,61\d compressed bytes would become more than 200,000,000")


@pytest.fixture
def recorded(tmp_path: Path) -> Path:
    """A short bag, in SQLite."""
    first_seconds(shared_folder() / "bags" / "tabletop", tmp_path / "source", 0.5)
    with Reader(tmp_path / "source") as reader:
        messages = [(c.topic, c.msgtype, time_ns, data) for c, time_ns, data in reader.messages()]
    path = tmp_path / "recorded.db3"
    with sqlite3.connect(path) as database:
        database.execute("CREATE TABLE topics(id INTEGER PRIMARY KEY, name TEXT, type TEXT, "
                         "serialization_format TEXT, offered_qos_profiles TEXT)")  # fmt: skip
        database.execute("CREATE TABLE messages(id INTEGER PRIMARY KEY, topic_id INTEGER, timestamp INTEGER, "
                         "data BLOB)")  # fmt: skip
        topics = sorted({(topic, msgtype) for topic, msgtype, _, _ in messages})
        for key, (topic, msgtype) in enumerate(topics, 1):
            database.execute("INSERT INTO topics VALUES(?, ?, ?, 'cdr', '')", (key, topic, msgtype))
        for topic, msgtype, time_ns, data in messages:
            key = topics.index((topic, msgtype)) + 1
            database.execute("INSERT INTO messages VALUES(NULL, ?, ?, ?)", (key, time_ns, data))
    database.close()
    return path


def test_an_sqlite_file_of_tables_is_read(recorded: Path) -> None:
    assert len(list(read_bag_frames(recorded))) > 5


@pytest.mark.parametrize(
    "statement",
    [
        "ALTER TABLE messages RENAME TO stored; CREATE VIEW messages AS WITH RECURSIVE n(i) AS "
        "(SELECT 1 UNION ALL SELECT i + 1 FROM n) SELECT i AS id, 1 AS topic_id, i AS timestamp, "
        "zeroblob(1000) AS data FROM n",
        "CREATE VIEW schema AS WITH RECURSIVE n(i) AS (SELECT 4 UNION ALL SELECT i + 1 FROM n) "
        "SELECT max(i) AS schema_version FROM n",
        "ALTER TABLE messages ADD COLUMN other BLOB AS (zeroblob(900000000)) VIRTUAL",
    ],
    ids=["messages without end", "a version that is never known", "a computed column"],
)
def test_an_sqlite_file_that_is_a_program(recorded: Path, statement: str) -> None:
    with sqlite3.connect(recorded) as database:
        database.executescript(statement)
    database.close()
    refused(recorded, r"recorded\.db3 .*is computed when it is read; a bag has plain tables alone")


def with_metadata(folder: Path, file: Path, mode: str) -> Path:
    folder.mkdir()
    file.rename(folder / file.name)
    topic = {
        "name": "/camera/image_raw/compressed",
        "type": "sensor_msgs/msg/CompressedImage",
        "serialization_format": "cdr",
        "offered_qos_profiles": "",
    }
    about = {
        "version": 5,
        "storage_identifier": "sqlite3",
        "relative_file_paths": [file.name],
        "duration": {"nanoseconds": 10**9},
        "starting_time": {"nanoseconds_since_epoch": 0},
        "message_count": 10,
        "topics_with_message_count": [{"topic_metadata": topic, "message_count": 10}],
        "compression_format": "zstd",
        "compression_mode": mode,
    }
    (folder / "metadata.yaml").write_text(yaml.safe_dump({"rosbag2_bagfile_information": about}))
    return folder


def test_a_compressed_file_that_would_be_gigabytes(tmp_path: Path) -> None:
    file = tmp_path / "bag_0.db3.zstd"
    file.write_bytes(bomb())
    refused(with_metadata(tmp_path / "bag", file, "FILE"), "would become more than 200,000,000 bytes")


def test_a_compressed_file_is_read(recorded: Path, tmp_path: Path) -> None:
    count = len(list(read_bag_frames(recorded)))
    file = tmp_path / "bag_0.db3.zstd"
    file.write_bytes(zstd.compress(recorded.read_bytes()))
    assert len(list(read_bag_frames(with_metadata(tmp_path / "bag", file, "FILE")))) == count


@pytest.mark.parametrize("mode", ["MESSAGE", ""])
def test_messages_that_would_be_gigabytes(
    recorded: Path, tmp_path: Path, mode: str, caplog: pytest.LogCaptureFixture
) -> None:
    with sqlite3.connect(recorded) as database:
        database.execute("UPDATE messages SET data = ?", (bomb(),))
    database.close()
    bag = with_metadata(tmp_path / "bag", recorded, mode)
    with bounds():
        assert list(read_bag_frames(bag)) == []
    assert "compressed bytes would become more than 200,000,000" in caplog.text
