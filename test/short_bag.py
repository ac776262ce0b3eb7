"""Recordings for tests that have no time for a long one."""

from __future__ import annotations

from pathlib import Path

from rosbags.rosbag2 import Reader

from step_ros.frames.bags.writing import new_bag


def first_seconds(bag: Path, out: Path, seconds: float) -> None:
    """Copy the beginning of a recording, into a folder that does not exist yet."""
    with Reader(bag) as reader, new_bag(out) as copy:
        for connection, time_ns, data in reader.messages():
            if time_ns <= reader.start_time + seconds * 1e9:
                copy.write_cdr(connection.topic, connection.msgtype, time_ns, data)
