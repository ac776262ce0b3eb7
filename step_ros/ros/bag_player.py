"""Plays a bag as if it were happening now, in a process of its own."""

from __future__ import annotations

import argparse
import importlib
import sys
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import rclpy
from rclpy.duration import Duration
from rclpy.node import Node
from rclpy.publisher import Publisher
from rclpy.qos import DurabilityPolicy, QoSProfile, ReliabilityPolicy
from rclpy.signals import SignalHandlerOptions
from rclpy.utilities import remove_ros_args
from rosgraph_msgs.msg import Clock

from step_ros.frames import BagError
from step_ros.frames.bags.recording import (
    RecordedMessage,
    RecordedTopic,
    read_messages,
    read_stamp,
    read_topics,
    write_stamp,
)
from step_ros.ros.messages import stamp_of
from step_ros.ros.processes.orderly_end import OrderlyEnd

IMAGE_TYPES = ("sensor_msgs/msg/Image", "sensor_msgs/msg/CompressedImage")
LATCHED_TYPES = ("vision_msgs/msg/Classification", "vision_msgs/msg/LabelInfo")

CLOCK_PERIOD = 0.01
"""Seconds between two messages on /clock."""

SETTLING = 0.5
"""Seconds from the last subscriber's coming to the first message: until its match with us is complete on both
sides, and it has had the time to ask for what we offer."""


@dataclass(frozen=True)
class Playback:
    """How a bag is played."""

    rate: float
    """Seconds of the recording a second."""
    loop: bool
    """Whether to begin again at its end."""
    restamp: bool
    """Whether headers get the time at which they are played; otherwise /clock gives the recording's."""
    reliable_images: bool
    """Whether images are offered reliably."""
    wait_for_subscribers: int
    """How many subscribers each image topic must have before anything is played."""


class BagPlayer(Node):
    """Publishes a bag's messages as they were recorded, byte by byte, stamps excepted.

    Args:
        path: the bag's folder or file.
        playback: how it is played.
        end: says when to stop.

    Raises:
        BagError: it is no bag, or has no message of a type that is installed here.
    """

    def __init__(self, path: Path, playback: Playback, end: OrderlyEnd) -> None:
        super().__init__("bag_player", start_parameter_services=False)
        self._path = path
        self._playback = playback
        self._end = end
        self._publishers_by_topic: dict[str, Publisher] = {}
        self._image_publishers: list[Publisher] = []
        self._stamped: set[str] = set()
        topics = read_topics(path)
        for topic in topics:
            self._advertise(topic)
        if not self._publishers_by_topic:
            raise BagError(
                f"nothing of {path} can be played here; it has "
                + (", ".join(f"{topic.name} ({topic.msgtype})" for topic in topics) or "no topic")
            )
        self._clock_publisher = None if playback.restamp else self.create_publisher(Clock, "/clock", 10)

    def play(self) -> int:
        """Play to the end, or until asked to stop; returns the number of messages published."""
        self._wait_for_subscribers()
        count = self._play_once()
        while self._playback.loop and not self._end.asked:
            self.get_logger().info("from the beginning")
            count += self._play_once()
        for publisher in self._publishers_by_topic.values():
            if not self._end.asked:
                publisher.wait_for_all_acked(Duration(seconds=2))
        return count

    def _advertise(self, topic: RecordedTopic) -> None:
        message_type = _message_class(topic.msgtype)
        if message_type is None:
            self.get_logger().warning(f"{topic.name} is left out: {topic.msgtype} is not installed here")
            return
        publisher = self.create_publisher(message_type, topic.name, self._qos(topic))
        self._publishers_by_topic[topic.name] = publisher
        if topic.msgtype in IMAGE_TYPES:
            self._image_publishers.append(publisher)
        if next(iter(message_type.get_fields_and_field_types().values()), "") == "std_msgs/Header":
            self._stamped.add(topic.name)

    def _qos(self, topic: RecordedTopic) -> QoSProfile:
        """Images as asked for; the rest as recorded, and where nobody wrote that down, labels latched."""
        if topic.msgtype in IMAGE_TYPES:
            reliable, latched = self._playback.reliable_images, False
        else:
            reliable = topic.reliable is not False
            latched = topic.msgtype in LATCHED_TYPES if topic.latched is None else topic.latched
        return QoSProfile(
            depth=100 if latched else 10,
            reliability=ReliabilityPolicy.RELIABLE if reliable else ReliabilityPolicy.BEST_EFFORT,
            durability=DurabilityPolicy.TRANSIENT_LOCAL if latched else DurabilityPolicy.VOLATILE,
        )

    def _wait_for_subscribers(self) -> None:
        wanted = self._playback.wait_for_subscribers
        if not wanted:
            return
        waiting = [p for p in self._image_publishers if p.get_subscription_count() < wanted]
        if waiting:
            names = ", ".join(publisher.topic_name for publisher in waiting)
            self.get_logger().info(f"waiting for {wanted} subscriber(s) of {names}")
        while waiting and not self._end.asked:
            time.sleep(0.02)
            waiting = [p for p in waiting if p.get_subscription_count() < wanted]
        time.sleep(SETTLING)

    def _play_once(self) -> int:
        count = 0
        start = time.monotonic()
        start_ns = self.get_clock().now().nanoseconds
        first_ns: int | None = None
        for message in read_messages(self._path, list(self._publishers_by_topic)):
            first_ns = message.log_time_ns if first_ns is None else first_ns
            due = start + (message.log_time_ns - first_ns) / 1e9 / self._playback.rate
            self._wait_until(due, message.log_time_ns)
            if self._end.asked:
                break
            self._publishers_by_topic[message.topic].publish(self._stamped_now(message, first_ns, start_ns))
            count += 1
        return count

    def _wait_until(self, due: float, log_time_ns: int) -> None:
        """Sleep; while there is a /clock, keep it going."""
        while not self._end.asked:
            remaining = due - time.monotonic()
            if self._clock_publisher is not None:
                now_ns = log_time_ns - round(max(0.0, remaining) * self._playback.rate * 1e9)
                self._clock_publisher.publish(Clock(clock=stamp_of(now_ns)))
            if remaining <= 0:
                return
            time.sleep(min(remaining, CLOCK_PERIOD))

    def _stamped_now(self, message: RecordedMessage, first_ns: int, start_ns: int) -> bytes:
        """The message with its stamp moved to this playback; one that was never stamped stays so."""
        if not self._playback.restamp or message.topic not in self._stamped:
            return message.cdr
        stamp_ns = read_stamp(message.cdr)
        if stamp_ns == 0:
            return message.cdr
        return write_stamp(message.cdr, start_ns + round((stamp_ns - first_ns) / self._playback.rate))


def _message_class(msgtype: str) -> Any | None:
    package, _, name = msgtype.partition("/msg/")
    try:
        return getattr(importlib.import_module(f"{package}.msg"), name)
    except (ImportError, AttributeError):
        return None


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="bag_player",
        description="Plays a rosbag2 recording (mcap or sqlite3) on its own topics; remap them with "
        "--ros-args -r /recorded:=/played.",
    )
    parser.add_argument("bag", type=Path, help="the bag's folder, or one of its files")
    parser.add_argument("--rate", type=_positive, default=1.0, help="seconds of the recording a second")
    parser.add_argument("--loop", action="store_true", help="begin again at the end, until stopped")
    parser.add_argument(
        "--restamp",
        action=argparse.BooleanOptionalAction,
        default=True,
        help="move the headers' stamps to now; otherwise the stamps stay and /clock gives their time, for "
        "nodes with use_sim_time",
    )
    parser.add_argument(
        "--reliability",
        choices=("reliable", "best_effort"),
        default="reliable",
        help="what image topics offer",
    )
    parser.add_argument(
        "--wait-for-subscribers",
        type=int,
        default=0,
        metavar="N",
        help="begin when every image topic has N subscribers",
    )
    return parser


def _positive(text: str) -> float:
    value = float(text)
    if not 0 < value < float("inf"):
        raise argparse.ArgumentTypeError(f"must be a number above 0, got {text}")
    return value


def main(args: list[str] | None = None) -> int:
    """Play a bag; returns the exit code."""
    arguments = sys.argv if args is None else ["bag_player", *args]
    options = _parser().parse_args(remove_ros_args(arguments)[1:])
    playback = Playback(
        rate=options.rate,
        loop=options.loop,
        restamp=options.restamp,
        reliable_images=options.reliability == "reliable",
        wait_for_subscribers=options.wait_for_subscribers,
    )
    with OrderlyEnd() as end:
        end.in_order()
        try:
            rclpy.init(args=arguments, signal_handler_options=SignalHandlerOptions.NO)
            count = BagPlayer(options.bag, playback, end).play()
            print(f"bag_player: {count} messages of {options.bag}")
        except BagError as error:
            print(f"bag_player: {error}", file=sys.stderr)
            return 1
        finally:
            rclpy.try_shutdown()
    return 0


if __name__ == "__main__":
    sys.exit(main())
