"""One camera of the node: its images in, its labels out, and whether those may be believed."""

from __future__ import annotations

import threading
import time
from collections.abc import Mapping
from typing import Any

from rclpy.callback_groups import CallbackGroup
from rclpy.node import Node

from step_ros.perception import (
    DirectionCheck,
    EngineKeeper,
    Freshness,
    Perceiver,
    Perception,
    PerceptionWorker,
)
from step_ros.perception.freshness import FreshnessLimits, Withholding
from step_ros.perception.latency import Latencies
from step_ros.probes import HeadConfig
from step_ros.ros.node.image_input import ImageInput
from step_ros.ros.node.intake import BadImage, FrameIntake
from step_ros.ros.node.outputs import Outputs
from step_ros.ros.node.parameters import value_of, value_of_camera
from step_ros.ros.node.qos_report import QosReport
from step_ros.ros.node.snapshot import Snapshot

CLOCK_JUMP = 5.0
"""Seconds between two looks at the clock, which come ten times a second, that show that it was set."""


class Camera:
    """Receives images in the executor's threads, decodes in one of its own, publishes in the worker's.

    Args:
        node: whose camera it is.
        name: empty for a single camera.
        perceiver: the camera's own.
        worker: who runs it.
        callback_group: of the subscription.
    """

    def __init__(
        self,
        node: Node,
        name: str,
        perceiver: Perceiver,
        worker: PerceptionWorker,
        keeper: EngineKeeper,
        callback_group: CallbackGroup,
    ) -> None:
        self.name = name
        self.freshness = Freshness()
        self._node = node
        self._perceiver = perceiver
        self._worker = worker
        self._keeper = keeper
        self._report = report = QosReport(node)
        self._direction = DirectionCheck()
        self._started = self._last_image = time.monotonic()
        self._last_image_error = ""
        # Guards everything that is published: what is taken back is taken back after what went before it.
        self._gate = threading.Lock()
        self._active = False
        self._withdrawn = True
        self._last_check_s = 0.0
        self._updates = 0
        self._stamp_latencies = Latencies()
        self._ages_at_receipt = Latencies()

        prefix = f"~/{name}/" if name else "~/"
        self._outputs = Outputs(node, prefix, perceiver, report)
        self._intake = FrameIntake(
            lambda frame: worker.submit(frame, name),
            self._on_bad_image,
            max_pixels=lambda: value_of(node, "max_image_pixels"),
            queue_size=value_of(node, "image_queue_size"),
        )
        try:
            self._images = ImageInput(
                node,
                transport=value_of_camera(node, name, "image_transport"),
                reliability=value_of_camera(node, name, "image_reliability"),
                on_image=self._on_image,
                name=f"{name}/image" if name else "image",
                report=report,
                callback_group=callback_group,
            )
        except Exception:
            self._intake.close()
            self._outputs.close()
            raise

    @property
    def topic(self) -> str:
        """Of its images."""
        return self._images.topic

    @property
    def reliability(self) -> str:
        """What the image subscription asks for at present."""
        return self._images.reliability

    def activate(self) -> None:
        """Take images and publish labels from here on."""
        with self._gate:
            self._active = True
            self._last_image = time.monotonic()
            self._start_waiting()

    def deactivate(self) -> None:
        """Take back every label; once this returns, nothing is published."""
        with self._gate:
            self._active = False
            self._withdraw()
            self._stamp_latencies.clear()
            self._ages_at_receipt.clear()
        self._worker.forget_latency(self.name)

    def wait_until_received(self, until: float) -> None:
        """Wait for planners to have what was taken back, at most until then by the monotonic clock."""
        self._outputs.wait_until_received(until)

    def reset(self) -> None:
        """Take back every label and wait for new ones."""
        with self._gate:
            self._withdraw()
            self._start_waiting()

    def set_heads(self, heads: Mapping[str, HeadConfig]) -> None:
        """Offer the topics of these heads' tasks, and no others."""
        with self._gate:
            self._outputs.set_heads(heads)

    def close(self, timeout: float) -> bool:
        """Remove all topics and end the thread; returns whether it ended in time."""
        with self._gate:
            self._active = False
        self._images.close()
        ended = self._intake.close(timeout)
        with self._gate:
            self._outputs.close()
        return ended

    # ---- an image's way: here, into the intake, on to the worker, and back as what is perceived

    def _on_image(self, message: Any) -> None:
        """In one of the executor's threads."""
        self._last_image = time.monotonic()
        if self._active:
            self._intake.submit(message, self._node.get_clock().now().nanoseconds)
        else:
            self._intake.skip()

    def _on_bad_image(self, bad: BadImage) -> None:
        """In the intake's thread."""
        self._last_image_error = f"{bad.cause.word}: {bad.message}"
        if self._node.context.ok():
            self._node.get_logger().warning(
                f"an image on {self._images.topic} cannot be used: {self._last_image_error}",
                throttle_duration_sec=10.0,
            )

    def publish(self, perception: Perception) -> None:
        """In the worker's thread: say what was perceived, unless nobody should believe it."""
        frame = self._intake.find(perception.stamp_ns)
        with self._gate:
            if not self._active or not self._node.context.ok():
                return
            stamp_ns, clock_ns = perception.stamp_ns, self._node.get_clock().now().nanoseconds
            receipt_ns = clock_ns if frame is None else frame.receipt_ns
            if not self.freshness.admit(self._now_s(), stamp_ns, receipt_ns, clock_ns, self._limits()):
                self._withdraw()
                return
            self._withdrawn = False
            self._outputs.publish(perception, frame if self._worker.stride == 1 else None)
            self._updates += 1
            now_s, late_ns = time.monotonic(), self._node.get_clock().now().nanoseconds - stamp_ns
            self._stamp_latencies.add(late_ns / 1e6, now_s)
            self._ages_at_receipt.add((receipt_ns - stamp_ns) / 1e6, now_s)
        # What nobody needs for a label waits until there is time for every frame again.
        rate = value_of(self._node, "direction.max_rate") if self._worker.stride == 1 else 0.0
        directions = self._direction.check(perception, self._perceiver, rate)
        with self._gate:
            if directions and self._active and not self._withdrawn and self._node.context.ok():
                self._outputs.publish_directions(directions, perception.stamp_ns)

    # ---- a few times a second

    def follow_publishers(self) -> None:
        """Ask the camera for what it offers now; to be called a few times a second."""
        self._images.follow_publishers()

    def tell_alive(self) -> None:
        """Say that the stable labels hold, if they do; to be called in regular intervals."""
        with self._gate:
            if self._active and not self._withdrawn and self._node.context.ok():
                self._outputs.tell_alive()

    def check_freshness(self) -> bool:
        """Take labels back that nobody should believe any more; returns whether that was just done."""
        with self._gate:
            now_s = self._now_s()
            if now_s - self._last_check_s > CLOCK_JUMP and self.freshness.state == "waiting":
                self._start_waiting()  # a simulation's first word on the time, say
            self._last_check_s = now_s
            if not self._active or not self.freshness.check(now_s, self._limits()):
                return False
            self._withdraw()
            return True

    def snapshot(self, callback_errors: int, callback_error: str) -> Snapshot:
        """Everything that diagnostics judge.

        Args:
            callback_errors: how many of the node's callbacks have failed.
            callback_error: by what the last one did.
        """
        now = time.monotonic()
        frames = self._intake.account(lambda: self._worker.account(self.name))
        withheld = self.freshness.withheld
        with self._gate:
            updates = self._updates
            stamp_latency, age_at_receipt = self._stamp_latencies.now(now), self._ages_at_receipt.now(now)
            confirmed, unconfirmed = self._outputs.confirmed, self._outputs.unconfirmed
        return Snapshot(
            seconds=now - self._started,
            step_s=self._perceiver.clip.step_ns / 1e9,
            frames=frames,
            stride=self._worker.stride,
            lost=self._images.lost,
            updates=updates,
            withheld={cause: withheld[cause] for cause in Withholding},
            last_withheld=self.freshness.last_withheld,
            lost_updates=self._worker.lost_updates(self.name),
            restarts=self._worker.restarts(self.name),
            callback_errors=callback_errors,
            notices={
                "lapses": self.freshness.lapses,
                "direction.confirmed": confirmed,
                "direction.unconfirmed": unconfirmed,
                "zero_stamp": self._intake.zero_stamps,
                "incompatible_qos": self._report.count,
            },
            labels=self.freshness.state,
            silence_s=self.freshness.silence(self._now_s()),
            image_silence_s=now - self._last_image,
            publishers=self._images.publishers,
            other_publishers=self._images.other_publishers,
            image_qos=self._report.of_images(),
            label_qos=self._report.of_labels(),
            latency=self._worker.latency(self.name),
            stamp_latency=stamp_latency,
            age_at_receipt=age_at_receipt,
            step_under_way=self._worker.step_under_way,
            engine_trouble=self._keeper.trouble,
            stuck=self._worker.stuck,
            errors=self._worker.errors(self.name),
            image_error=self._last_image_error,
            callback_error=callback_error,
        )

    def _start_waiting(self) -> None:
        """With the gate held."""
        window_s = self._perceiver.clip.window_ns / 1e9
        self.freshness.start(self._now_s(), window_s + self._limits().timeout_s)

    def _withdraw(self) -> None:
        """With the gate held."""
        if not self._withdrawn and self._node.context.ok():
            self._outputs.withdraw()
        self._withdrawn = True

    def _limits(self) -> FreshnessLimits:
        step_s = self._perceiver.clip.step_ns / 1e9
        return FreshnessLimits(
            timeout_s=max(value_of(self._node, "staleness.timeout"), 2 * step_s),
            max_age_s=value_of(self._node, "staleness.max_age"),
        )

    def _now_s(self) -> float:
        """Of the clock that planners live by: while a simulation stands still, nothing grows old."""
        if value_of(self._node, "use_sim_time"):
            return self._node.get_clock().now().nanoseconds / 1e9
        return time.monotonic()


def configs_of(perceiver: Perceiver) -> dict[str, HeadConfig]:
    """What the heads that answer now say of themselves, by task."""
    return {task: head.config for task, head in perceiver.heads.items()}
