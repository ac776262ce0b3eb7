"""A planner's view of perception: a client of its public topics, and of nothing else."""

from __future__ import annotations

import array
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import cv2
from diagnostic_msgs.msg import DiagnosticArray, DiagnosticStatus
from rclpy.node import Node
from rclpy.qos import DurabilityPolicy, QoSProfile, ReliabilityPolicy
from rclpy.serialization import serialize_message
from sensor_msgs.msg import CompressedImage, Image
from vision_msgs.msg import Classification, LabelInfo

from step_ros.frames import ImageError, decode_image
from step_ros.ros.messages import nanoseconds_of
from step_ros.scores.timeline import UNLABELLED, TruthChange
from step_ros.scores.updates import Update

LATCHED = QoSProfile(depth=100, durability=DurabilityPolicy.TRANSIENT_LOCAL)
RELIABLE = QoSProfile(depth=100)
IMAGES = QoSProfile(depth=10, reliability=ReliabilityPolicy.RELIABLE)


@dataclass(frozen=True)
class Picture:
    """An image as the planner's camera view keeps it."""

    stamp_ns: int
    """The image's stamp."""
    received_ns: int
    """When it came."""
    jpeg: bytes
    """The picture."""


@dataclass(frozen=True)
class Recorded:
    """A message of the perception node, to be written to a bag."""

    topic: str
    """Its topic."""
    msgtype: str
    """As ``vision_msgs/msg/Classification``."""
    received_ns: int
    """When it came."""
    cdr: bytes
    """The message."""


class PlannerClient(Node):
    """Subscribes labels, truth and diagnostics, and keeps what comes.

    Args:
        perception: full name of the perception node.
        tasks: its tasks.
        image_topic: of the camera; None does not look at it.
        image_type: its message type.
        truth: prefix of the topics that tell the true labels, one a task; a message whenever one changes.
    """

    def __init__(
        self,
        perception: str,
        tasks: Sequence[str],
        *,
        image_topic: str | None = None,
        image_type: type = CompressedImage,
        truth: str = "/truth",
    ) -> None:
        super().__init__("planner", start_parameter_services=False)
        self._perception = perception
        self.tasks = list(tasks)
        self.updates: dict[str, list[Update]] = {task: [] for task in tasks}
        """Every label that came, by task, in the order of arrival."""
        self.top: dict[str, list[list[tuple[str, float]]]] = {task: [] for task in tasks}
        """Of each update, all labels that it names with their probabilities."""
        self.truth: dict[str, list[TruthChange]] = {task: [] for task in tasks}
        """Every change of the truth, by task."""
        self.stable: dict[str, str] = {}
        """The filtered label of each task that has one."""
        self.labels: dict[str, list[str]] = {}
        """All labels of each task that has told them: a task that is here is ready."""
        self.pictures: list[Picture] = []
        """The camera's images."""
        self.recorded: list[Recorded] = []
        """What the perception node said, message by message."""
        self.diagnostics: DiagnosticStatus | None = None
        """The newest status of the perception node."""
        self.diagnostics_count = 0
        """How many there were."""
        for task in tasks:
            topic = f"{perception}/{task}"
            self._listen(Classification, topic, RELIABLE, self._on_update, task)
            self._listen(Classification, f"{topic}/stable", LATCHED, self._on_stable, task)
            self._listen(LabelInfo, f"{topic}/labels", LATCHED, self._on_labels, task)
            self.create_subscription(
                Classification, f"{truth}/{task}", lambda m, task=task: self._on_truth(m, task), LATCHED
            )
        self.create_subscription(DiagnosticArray, "/diagnostics", self._on_diagnostics, RELIABLE)
        if image_topic:
            self.create_subscription(image_type, image_topic, self._on_image, IMAGES)

    @property
    def values(self) -> dict[str, str]:
        """The newest diagnostics' values."""
        return {pair.key: pair.value for pair in self.diagnostics.values} if self.diagnostics else {}

    @property
    def ready(self) -> bool:
        """Whether every task has told its labels."""
        return set(self.labels) == set(self.tasks)

    def _listen(self, message_type: type, topic: str, qos: QoSProfile, handle: Any, task: str) -> None:
        """Subscribe, and record each message as it is."""
        msgtype = f"vision_msgs/msg/{message_type.__name__}"

        def on_message(message: Any) -> None:
            received_ns = self.get_clock().now().nanoseconds
            self.recorded.append(Recorded(topic, msgtype, received_ns, bytes(serialize_message(message))))
            handle(message, task, received_ns)

        self.create_subscription(message_type, topic, on_message, qos)

    def _on_update(self, message: Classification, task: str, received_ns: int) -> None:
        if not message.results:
            return
        best = message.results[0]
        stamp_ns = nanoseconds_of(message.header.stamp)
        self.updates[task].append(Update(task, best.class_id, best.score, stamp_ns, received_ns))
        self.top[task].append([(result.class_id, result.score) for result in message.results])

    def _on_stable(self, message: Classification, task: str, received_ns: int) -> None:
        self.stable[task] = message.results[0].class_id if message.results else UNLABELLED  # stale

    def _on_labels(self, message: LabelInfo, task: str, received_ns: int) -> None:
        self.labels[task] = [entry.class_name for entry in message.class_map]

    def _on_truth(self, message: Classification, task: str) -> None:
        label = message.results[0].class_id if message.results else UNLABELLED
        self.truth[task].append(TruthChange(nanoseconds_of(message.header.stamp), label))

    def _on_diagnostics(self, message: DiagnosticArray) -> None:
        mine = self._perception.strip("/") + ": pipeline"
        for status in message.status:
            if status.name == mine:
                self.diagnostics = status
                self.diagnostics_count += 1

    def _on_image(self, message: Any) -> None:
        stamp_ns = nanoseconds_of(message.header.stamp)
        received_ns = self.get_clock().now().nanoseconds
        if isinstance(message, Image):
            try:
                rgb = decode_image(message)
            except ImageError:  # the node's to complain about
                return
            _, encoded = cv2.imencode(".jpg", cv2.cvtColor(rgb, cv2.COLOR_RGB2BGR))
            jpeg = encoded.tobytes()
        else:
            data: array.array[int] = message.data
            jpeg = data.tobytes()
        self.pictures.append(Picture(stamp_ns, received_ns, jpeg))
