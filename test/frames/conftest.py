"""Image messages of both worlds: rclpy's and rosbags'."""

from __future__ import annotations

import array
import importlib
from collections.abc import Callable
from typing import Any

import pytest

from step_ros.frames.bags.messages import header, typestore
from step_ros.frames.bags.writing import new_bag


class RosbagsMessages:
    """Builds messages as rosbags reads them from a bag."""

    def image(self, *, data: bytes, **fields: Any) -> Any:
        return self._round_trip("sensor_msgs/msg/Image", data=data, **fields)

    def compressed_image(self, *, data: bytes, **fields: Any) -> Any:
        return self._round_trip("sensor_msgs/msg/CompressedImage", data=data, **fields)

    def _round_trip(self, msgtype: str, *, data: bytes, **fields: Any) -> Any:
        import numpy as np

        stamped = header(1_000_000_002, "camera")
        message = typestore().types[msgtype](header=stamped, data=np.frombuffer(data, np.uint8), **fields)
        return typestore().deserialize_cdr(typestore().serialize_cdr(message, msgtype), msgtype)


class RclpyMessages:
    """Builds messages as rclpy hands them to a callback."""

    def __init__(self) -> None:
        self._msg = importlib.import_module("sensor_msgs.msg")

    def image(self, *, data: bytes, **fields: Any) -> Any:
        message = self._msg.Image(**fields)
        message.data = array.array("B", data)
        return message

    def compressed_image(self, *, data: bytes, **fields: Any) -> Any:
        message = self._msg.CompressedImage(**fields)
        message.data = array.array("B", data)
        return message


@pytest.fixture(params=["rosbags", "rclpy"])
def messages(request: pytest.FixtureRequest) -> RosbagsMessages | RclpyMessages:
    """The two kinds of message in turn; rclpy's only where ROS 2 is installed."""
    if request.param == "rosbags":
        return RosbagsMessages()
    pytest.importorskip("sensor_msgs.msg", reason="ROS 2 is not installed")
    return RclpyMessages()


@pytest.fixture
def rosbags_messages() -> RosbagsMessages:
    """Messages as rosbags reads them."""
    return RosbagsMessages()


@pytest.fixture
def write_bag(tmp_path: Any) -> Callable[..., Any]:
    """Writes a bag of ``(topic, log_time_ns, message)`` and returns its folder."""
    from rosbags.rosbag2 import CompressionMode, StoragePlugin

    def write(
        recorded: list[tuple[str, int, Any]],
        *,
        storage: str = "mcap",
        compression: str = "none",
        name: str = "bag",
    ) -> Any:
        folder = tmp_path / name
        kinds = {
            "storage": StoragePlugin[storage.upper()],
            "compression": CompressionMode[compression.upper()],
        }
        with new_bag(folder, **kinds) as bag:
            for topic, log_time_ns, message in recorded:
                bag.write(topic, log_time_ns, message)
        return folder

    return write
