"""Recordings for tests that have no time for a long one."""

from __future__ import annotations

from pathlib import Path

from rosbags.rosbag2 import Reader, StoragePlugin, Writer

from step_ros.frames import typestore


def first_seconds(bag: Path, out: Path, seconds: float) -> None:
    """Copy the beginning of a recording, into a folder that does not exist yet."""
    with Reader(bag) as reader, Writer(out, version=9, storage_plugin=StoragePlugin.MCAP) as writer:
        copies = {
            c.topic: writer.add_connection(c.topic, c.msgtype, typestore=typestore())
            for c in reader.connections
        }
        for connection, time_ns, data in reader.messages():
            if time_ns <= reader.start_time + seconds * 1e9:
                writer.write(copies[connection.topic], time_ns, data)
