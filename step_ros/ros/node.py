"""The node: images in, labels out, and an account of itself."""

from __future__ import annotations

import threading
import time
from collections import deque
from typing import Any

import numpy as np
import torch
from diagnostic_msgs.msg import DiagnosticArray
from rclpy.clock import Clock, ClockType
from rclpy.node import Node
from std_srvs.srv import Trigger

from step_ros.perception import Perceiver, Perception, PerceptionWorker
from step_ros.perception.loading import load_perceiver, warm_up
from step_ros.ros.diagnostics import Diagnostics, Snapshot
from step_ros.ros.frame_intake import FrameIntake
from step_ros.ros.image_input import ImageInput
from step_ros.ros.outputs import Outputs
from step_ros.ros.parameters import declare_parameters, value_of
from step_ros.ros.python_log import log_to_node, stop_logging_to_node

GRAPH_PERIOD = 0.2
"""Seconds between two looks at what the camera offers."""

NOT_IN_THE_LEDGER = ("head_error", "callback_error")
"""What the worker counts beside frames: updates that were lost."""


class PerceptionNode(Node):
    """Receives images in the executor's thread, decodes in a second one, perceives and publishes in a third.

    Raises:
        rclpy.exceptions.ParameterException: a parameter has a value that it must not have.
        HeadError, BackboneError, EngineError, ValueError: the models cannot be had or do not fit each other.
    """

    def __init__(self) -> None:
        super().__init__("perception")
        declare_parameters(self)
        self._python_log = log_to_node(self)
        perceiver = self._load()
        self._started = self._last_image = time.monotonic()
        self._last_image_error = ""
        self._lock = threading.Lock()  # guards the two below, which the worker's thread writes
        self._updates = 0
        self._stamp_latencies_ms: deque[float] = deque(maxlen=1000)

        self._outputs = Outputs(self, {task: head.config for task, head in perceiver.heads.items()})
        self._worker = PerceptionWorker(
            perceiver, self._on_perception, queue_size=value_of(self, "queue_size")
        )
        self._intake = FrameIntake(
            self._worker.submit,
            self._on_bad_image,
            max_pixels=lambda: value_of(self, "max_image_pixels"),
            queue_size=value_of(self, "image_queue_size"),
        )
        self._images = ImageInput(
            self,
            transport=value_of(self, "image_transport"),
            reliability=value_of(self, "image_reliability"),
            on_image=self._on_image,
        )
        self.create_service(Trigger, "~/reset", self._on_reset)
        self._facts = self._describe(perceiver)
        name = self.get_fully_qualified_name().strip("/")
        self._diagnostics = Diagnostics(f"{name}: pipeline", self._facts["device"], self._images.topic)
        self._diagnostics_publisher = self.create_publisher(DiagnosticArray, "/diagnostics", 10)
        # Not the ROS clock: both must also happen while a simulation stands still.
        steady = Clock(clock_type=ClockType.STEADY_TIME)
        self.create_timer(value_of(self, "diagnostics.period"), self._publish_diagnostics, clock=steady)
        self.create_timer(GRAPH_PERIOD, self._images.follow_publishers, clock=steady)
        self.get_logger().info(
            f"ready: {', '.join(perceiver.heads)} from {self._images.topic} with {self._facts['backbone']}"
        )

    def close(self) -> None:
        """End decoding and inference; may be called again."""
        self._intake.close()
        self._worker.close()
        stop_logging_to_node(self._python_log)

    def _load(self) -> Perceiver:
        """Load and warm up the models that the parameters name."""
        models = value_of(self, "models")
        self.get_logger().info(f"loading {', '.join(models)}")
        if value_of(self, "num_threads"):
            torch.set_num_threads(value_of(self, "num_threads"))
        max_held = value_of(self, "max_held")
        perceiver = load_perceiver(
            models,
            backbone=value_of(self, "backbone") or None,
            device=value_of(self, "device"),
            engine=value_of(self, "engine"),
            max_held=None if max_held < 0 else max_held,
        )
        warm_up(perceiver)
        return perceiver

    def _describe(self, perceiver: Perceiver) -> dict[str, str]:
        """What runs on what, for diagnostics."""
        device, engine = perceiver.backbone.device, perceiver.backbone.engine
        return {
            "engine": engine.name,
            "engine_precision": engine.precision,
            "engines_refused": "; ".join(f"{name}: {cause}" for name, cause in engine.refused.items()),
            "device": torch.cuda.get_device_name(device) if device.type == "cuda" else str(device),
            "torch": f"{torch.__version__}, {torch.get_num_threads()} threads",
            "backbone": str(perceiver.backbone.identity),
            "tasks": ", ".join(perceiver.heads),
            "image_topic": self._images.topic,
            "image_transport": value_of(self, "image_transport"),
        }

    def _on_image(self, message: Any) -> None:
        """In the executor's thread."""
        self._last_image = time.monotonic()
        self._intake.submit(message, self.get_clock().now().nanoseconds)

    def _on_bad_image(self, cause: str, error: str) -> None:
        """In the intake's thread."""
        self._last_image_error = f"{cause}: {error}"
        self.get_logger().warning(
            f"an image on {self._images.topic} cannot be used: {self._last_image_error}",
            throttle_duration_sec=10.0,
        )

    def _on_perception(self, perception: Perception) -> None:
        """In the worker's thread."""
        try:
            self._outputs.publish(perception, self._intake.find(perception.stamp_ns))
        except Exception:
            if self.context.ok():  # otherwise: publishing while the node is being stopped
                raise
        late_ns = self.get_clock().now().nanoseconds - perception.stamp_ns
        with self._lock:
            self._updates += 1
            self._stamp_latencies_ms.append(late_ns / 1e6)

    def _on_reset(self, request: Trigger.Request, response: Trigger.Response) -> Trigger.Response:
        self._worker.reset()
        self._outputs.reset()
        response.success = True
        response.message = "all images are forgotten; labels come again when the window is full"
        self.get_logger().info(f"reset: {response.message}")
        return response

    def _snapshot(self) -> Snapshot:
        now = time.monotonic()
        frames = self._intake.account(lambda: self._worker.counts)
        worker, latency, errors = self._worker.counts, self._worker.latency, self._worker.errors
        with self._lock:
            updates, stamp_latencies_ms = self._updates, list(self._stamp_latencies_ms)
        p50, p99 = np.percentile(stamp_latencies_ms or [np.nan], (50, 99))
        return Snapshot(
            seconds=now - self._started,
            frames=frames,
            lost=self._images.lost,
            updates=updates,
            update_errors={cause: worker[cause] for cause in NOT_IN_THE_LEDGER},
            notices={
                "zero_stamp": self._intake.zero_stamps,
                **{f"restart.{cause}": count for cause, count in self._worker.restarts.items()},
            },
            last_image_age=now - self._last_image,
            publishers=self._images.publishers,
            latency_ms=(latency.p50_ms, latency.p99_ms),
            stamp_latency_ms=(float(p50), float(p99)),
            last_error="; ".join(filter(None, [*errors.values(), self._last_image_error])),
        )

    def _publish_diagnostics(self) -> None:
        status = self._diagnostics.status(
            self._snapshot(),
            {**self._facts, "image_reliability": self._images.reliability},
            image_timeout=value_of(self, "diagnostics.image_timeout"),
            latency_warning_ms=value_of(self, "diagnostics.latency_warning"),
        )
        array = DiagnosticArray(status=[status])
        array.header.stamp = self.get_clock().now().to_msg()
        self._diagnostics_publisher.publish(array)
