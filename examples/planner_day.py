#!/usr/bin/env python3
"""A planner's whole day: what it sees when it is late, stamps jump, cameras and heads change, and nodes end.

It starts the node itself, by the command after ``--``, whose process must be the node's own, and shows it
pictures of its own. It needs rclpy, the messages and handover_planner.py beside it, and nothing of step_ros.

python examples/planner_day.py --task object --other-models tabletop/atomic_action \
    -- step-ros node image:=/camera/image_raw
"""

from __future__ import annotations

import argparse
import array
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from typing import Any

import rclpy
from diagnostic_msgs.msg import DiagnosticArray
from handover_planner import STABLE, SubscriptionEventCallbacks
from rcl_interfaces.srv import GetParameters, SetParameters
from rclpy.executors import ExternalShutdownException
from rclpy.node import Node
from rclpy.parameter import Parameter
from rclpy.time import Time
from sensor_msgs.msg import Image
from std_msgs.msg import Header
from vision_msgs.msg import Classification

PATIENCE = 120.0
"""Seconds for what takes a few where nothing else runs."""

RATE = 20.0
"""Images a second."""

HOUR = 3600.0
"""By which stamps fall behind, in seconds."""

SETTLING = 4.0
"""Seconds in which a node makes up its mind."""


class Camera:
    """Publishes grey pictures, each a little brighter than the one before.

    Args:
        node: whose publisher and timer it is.
        topic: of the images.
        frame_id: in their headers.
        size: height and width, in pixels.
        encoding: with three bytes a pixel.
    """

    def __init__(self, node: Node, topic: str, frame_id: str, size: tuple[int, int], encoding: str) -> None:
        self.behind = 0.0
        """Seconds by which its clock is behind."""
        self._node = node
        self._image = Image(height=size[0], width=size[1], encoding=encoding, step=3 * size[1])
        self._image.header.frame_id = frame_id
        self._shade = 0
        self._publisher = node.create_publisher(Image, topic, 10)
        self._timer = node.create_timer(1 / RATE, self._send)

    def _send(self) -> None:
        self._shade = (self._shade + 1) % 256
        stamp = seconds_now(self._node) - self.behind
        self._image.header.stamp = Time(nanoseconds=round(stamp * 1e9)).to_msg()
        self._image.data = array.array("B", bytes([self._shade]) * (self._image.height * self._image.step))
        self._publisher.publish(self._image)

    def unplug(self) -> None:
        """Send no more."""
        self._node.destroy_timer(self._timer)
        self._node.destroy_publisher(self._publisher)


class Day(Node):
    """A planner, and all that befalls it.

    Args:
        perception: the node's name.
        task: whose labels it follows.
        image: the topic on which the node expects images.
        command: starts the node.
    """

    def __init__(self, perception: str, task: str, image: str, command: Sequence[str]) -> None:
        super().__init__("planner_day")
        self._perception = perception
        self._task = task
        self._image = image
        self._command = command
        self._camera = Camera(self, image, "first_camera", (96, 128), "rgb8")
        self._process: Any = None
        self._update: Any = None
        self._said: list[Classification] = []
        self._alive: Any = None
        self._diagnosis = ""
        self._lost_at = 0.0
        """When the lease ran out, by the monotonic clock; 0 while it has not."""
        self.create_subscription(Classification, f"{perception}/{task}", self._on_update, 10)
        self.create_subscription(Header, f"{perception}/alive", self._on_alive, 1)
        self.create_subscription(DiagnosticArray, "/diagnostics", self._on_diagnostics, 10)

    # ---- what comes

    @property
    def label(self) -> str:
        """The stable label that was told last; empty if it was taken back, or none has been told."""
        results = self._said[-1].results if self._said else []
        return results[0].class_id if results else ""

    @property
    def onset(self) -> float:
        """When that began, in seconds of the cameras' clock."""
        return seconds(self._said[-1].header.stamp)

    def _on_update(self, message: Classification) -> None:
        self._update = message

    def _on_stable(self, message: Classification) -> None:
        self._said.append(message)

    def _on_alive(self, message: Header) -> None:
        self._alive = message

    def _on_diagnostics(self, message: DiagnosticArray) -> None:
        for status in message.status:
            if status.name == f"{self._perception.strip('/')}: pipeline":
                self._diagnosis = status.message

    def _on_liveliness(self, info: Any) -> None:
        if info.not_alive_count_change > 0:
            self._lost_at = time.monotonic()

    # ---- what happens

    def come_late(self) -> None:
        """Subscribe when the node has long been sure of something."""
        self._start_node()
        self._wait_for(lambda: self._update, "labels")
        self._spin(SETTLING)
        asked = seconds_now(self)
        self.create_subscription(
            Classification,
            f"{self._perception}/{self._task}/stable",
            self._on_stable,
            STABLE,
            event_callbacks=SubscriptionEventCallbacks(liveliness=self._on_liveliness),
        )
        self._wait_for(lambda: self.label, "the latched label")
        self._see("late joining", f"told {self.label}, which began {asked - self.onset:.1f} s before I asked")
        self._alive = None
        alive = self._wait_for(lambda: self._alive, "a sign of life")
        age = seconds_now(self) - seconds(alive.stamp)
        self._see("late joining", f"~/alive says that it holds as of {age:.2f} s ago")

    def let_stamps_jump(self) -> None:
        """Let the camera's clock fall behind, and set it right again."""
        before = self.label
        self._camera.behind, at = HOUR, time.monotonic()
        self._wait_for(lambda: not self.label, "the label to be taken back")
        self._see("clock jump", f"an hour back: {before} is taken back after {time.monotonic() - at:.1f} s")
        self._wait_for(lambda: "no labels go out: images are" in self._diagnosis, "the diagnosis")
        self._see("clock jump", f"diagnostics say: {self._diagnosis.partition(';')[0]}")
        self._camera.behind, right = 0.0, seconds_now(self)
        self._wait_for(lambda: self.label and self.onset > right, "a new label")
        self._see("clock jump", f"right again: {self.label}, begun {self.onset - right:.1f} s after that")

    def swap_the_camera(self) -> None:
        """Unplug it, and plug another in, with pictures of another size and encoding."""
        self._camera.unplug()
        self._camera = Camera(self, self._image, "second_camera", (120, 160), "bgr8")
        self._wait_for(
            lambda: self._update.header.frame_id == "second_camera" and self.label,
            "labels of the other camera",
        )
        self._see("camera swap", f"labels are of {self._update.header.frame_id}: {self.label}")

    def swap_heads(self, models: Sequence[str]) -> None:
        """Have other heads loaded while those of now answer, and those of now again."""
        asked = GetParameters.Request(names=["models"])
        (usual,) = self._call(GetParameters, "get_parameters", asked).values
        before = self._wait_for(lambda: self.label, "a label")
        self._set_models(models)
        self._wait_for(lambda: self.label != before, "another label")
        self._spin(SETTLING)  # unknown may come between
        after = f"{self.label} takes the place of {before}" if self.label else f"{before} is taken back"
        self._see("head swap", f"granted: {after}")
        self._set_models(usual.string_array_value)
        self._wait_for(lambda: self.label == before, f"{before} again")
        self._see("head swap", f"granted: {before} again")

    def tell_it_to_end(self) -> None:
        """As Ctrl-C, ros2 launch and service managers do; then start it again."""
        before = self._wait_for(lambda: self.label, "a label")
        self._process.terminate()
        self._wait_for(lambda: not self.label, "the label to be taken back")
        self._wait_for(lambda: self._process.poll() is not None, "the end")
        code = self._process.returncode
        self._see("orderly stop", f"{before} is taken back, and the node ends with {code}")
        started = seconds_now(self)
        self._start_node()
        self._wait_for(lambda: self.label and self.onset > started, "a new label")
        self._see("new start", f"{self.label}, begun since")

    def kill_it(self) -> None:
        """Leave it no time to say anything."""
        before, self._lost_at = len(self._said), 0.0
        self._process.kill()
        killed = time.monotonic()
        self._wait_for(lambda: self._lost_at, "the lease to run out")
        silent = "nothing is said" if len(self._said) == before else "something is said"
        self._see("kill -9", f"{silent}, and the lease runs out {self._lost_at - killed:.1f} s later")

    def end(self) -> None:
        """Leave nothing running."""
        if self._process is not None:
            self._process.kill()
            self._process.wait()
        self.destroy_node()

    # ---- how it is done

    def _set_models(self, models: Sequence[str]) -> None:
        asked = [Parameter("models", value=list(models)).to_parameter_msg()]
        request = SetParameters.Request(parameters=asked)
        (result,) = self._call(SetParameters, "set_parameters", request).results
        if not result.successful:
            sys.exit(f"head swap: refused: {result.reason}")

    def _call(self, service: Any, name: str, request: Any) -> Any:
        client = self.create_client(service, f"{self._perception}/{name}")
        self._wait_for(client.service_is_ready, f"the service {name}")
        answer = client.call_async(request)
        self._wait_for(answer.done, f"the answer of {name}")
        self.destroy_client(client)
        return answer.result()

    def _start_node(self) -> None:
        self._process = subprocess.Popen(self._command, stdout=sys.stderr)

    def _see(self, scene: str, what: str) -> None:
        print(f"{scene}: {what}", flush=True)

    def _spin(self, seconds: float) -> None:
        until = time.monotonic() + seconds
        while time.monotonic() < until:
            rclpy.spin_once(self, timeout_sec=0.02)

    def _wait_for(self, condition: Callable[[], Any], what: str) -> Any:
        until = time.monotonic() + PATIENCE
        while not (value := condition()):
            if time.monotonic() > until:
                sys.exit(f"waited in vain for {what}; diagnostics say: {self._diagnosis or 'nothing'}")
            rclpy.spin_once(self, timeout_sec=0.02)
        return value


def seconds(stamp: Any) -> float:
    """A message's stamp in seconds."""
    return stamp.sec + stamp.nanosec / 1e9


def seconds_now(node: Node) -> float:
    """The time by a node's clock."""
    return node.get_clock().now().nanoseconds / 1e9


def main() -> None:
    """Go through the day."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--perception", default="/perception", help="name of the node")
    parser.add_argument("--task", default="atomic_action", help="whose labels to follow")
    parser.add_argument("--image", default="/camera/image_raw", help="where the node expects images")
    parser.add_argument("--other-models", nargs="+", required=True, help="what to set `models` to")
    parser.add_argument("command", nargs="+", help="starts the node")
    arguments = parser.parse_args()
    rclpy.init()
    day = Day(arguments.perception, arguments.task, arguments.image, arguments.command)
    try:
        day.come_late()
        day.let_stamps_jump()
        day.swap_the_camera()
        day.swap_heads(arguments.other_models)
        day.tell_it_to_end()
        day.kill_it()
    except (KeyboardInterrupt, ExternalShutdownException):
        pass
    finally:
        day.end()
        rclpy.try_shutdown()


if __name__ == "__main__":
    main()
