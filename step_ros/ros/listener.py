"""What a planner hears of a perception node: a client of its public topics, and of nothing else."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

from diagnostic_msgs.msg import DiagnosticArray, DiagnosticStatus
from rclpy.node import Node
from rclpy.qos import DurabilityPolicy, QoSProfile, ReliabilityPolicy
from vision_msgs.msg import Classification, LabelInfo

from step_ros.frames.bags.labels import LabelChange, label_change
from step_ros.perception.announcements import Announcement
from step_ros.ros.messages import nanoseconds_of
from step_ros.runs.moments import Heard
from step_ros.scores.timeline import UNLABELLED, TruthTimeline
from step_ros.scores.updates import Update

HISTORY = 120
"""Updates of each task that are kept."""

LABELS_TYPE = "vision_msgs/msg/LabelInfo"
LABEL_TYPE = "vision_msgs/msg/Classification"

LATCHED = QoSProfile(depth=100, durability=DurabilityPolicy.TRANSIENT_LOCAL)
RELIABLE = QoSProfile(depth=100)


@dataclass
class HeardTask:
    """What is known of one task."""

    name: str
    """Below the node: the task, or camera/task."""
    labels: list[str] = field(default_factory=list)
    """All that it may say; empty until it has told them."""
    threshold: float = 0.0
    """The probability below which it believes no label."""
    stable: str = UNLABELLED
    """The filtered label; empty while there is none."""
    updates: deque[Update] = field(default_factory=lambda: deque(maxlen=HISTORY))
    """The newest, in the order of arrival."""
    count: int = 0
    """Updates so far."""

    @property
    def camera(self) -> str:
        """Which of several cameras it looks through; empty of a node with one."""
        return self.name.rpartition("/")[0]

    @property
    def task(self) -> str:
        """Its name without the camera's."""
        return self.name.rpartition("/")[2]


class Listener(Node):
    """Subscribes the topics of a perception node's tasks as they appear, and the truth about them.

    Args:
        perception: full name of the node.
        truth: prefix of the topics that tell the true labels, one a task; a message whenever one changes.
        on_label: called with each update and each change of a stable label, and the name of its camera.
        on_direction: called with the task, the camera, the results and the stamp of each checked direction.
    """

    def __init__(
        self,
        perception: str,
        *,
        truth: str = "/truth",
        on_label: Callable[[Heard, str], None] = lambda heard, camera: None,
        on_direction: Callable[[Heard, str], None] = lambda heard, camera: None,
    ) -> None:
        super().__init__("step_ros_listener", start_parameter_services=False)
        self.perception = perception.rstrip("/")
        self._truth_prefix = truth.rstrip("/")
        self._on_label = on_label
        self._on_direction = on_direction
        self.tasks: dict[str, HeardTask] = {}
        """By name, in alphabetical order."""
        self.truth: dict[str, list[LabelChange]] = {}
        """Every change of the truth, by task."""
        self.statuses: dict[str, DiagnosticStatus] = {}
        """The node's newest diagnostics, by camera; the node's own is called ``pipeline``."""
        self.status_received_ns = 0
        """When they came."""
        self.status_count = 0
        """How often they came."""
        self.create_subscription(DiagnosticArray, "/diagnostics", self._on_diagnostics, RELIABLE)
        self.create_timer(0.5, self.look_for_topics)

    @property
    def ready(self) -> bool:
        """Whether there are tasks, and all have told their labels."""
        return bool(self.tasks) and all(task.labels for task in self.tasks.values())

    @property
    def status(self) -> DiagnosticStatus | None:
        """The node's newest status of itself."""
        return self.statuses.get("pipeline")

    def values(self, camera: str = "") -> dict[str, str]:
        """What the newest diagnostics say of a camera; empty before the first."""
        status = self.statuses.get(camera or "pipeline")
        return {pair.key: pair.value for pair in status.values} if status else {}

    def true_label(self, task: str, stamp_ns: int) -> str:
        """What is true at a time, as far as has been told."""
        return TruthTimeline(self.truth.get(task, ())).at(stamp_ns)

    def look_for_topics(self) -> None:
        """Subscribe whatever tasks and truths have come since the last time."""
        for topic, types in self.get_topic_names_and_types():
            if LABELS_TYPE in types and topic.startswith(f"{self.perception}/") and topic.endswith("/labels"):
                name = topic.removeprefix(f"{self.perception}/").removesuffix("/labels")
                if name not in self.tasks:
                    self._listen(name)
            elif LABEL_TYPE in types and topic.startswith(f"{self._truth_prefix}/"):
                name = topic.removeprefix(f"{self._truth_prefix}/")
                if name not in self.truth:
                    self._listen_to_truth(name)

    def other_nodes(self) -> Sequence[str]:
        """Names of perception nodes that are not the one listened to, for who has mistyped a name."""
        found = {
            topic.removesuffix("/labels").rpartition("/")[0]
            for topic, types in self.get_topic_names_and_types()
            if topic.endswith("/labels") and LABELS_TYPE in types
        }
        return sorted(found - {self.perception})

    def _listen(self, name: str) -> None:
        task = HeardTask(name)
        self.tasks = dict(sorted({**self.tasks, name: task}.items()))
        topic = f"{self.perception}/{name}"

        def on_update(message: Classification) -> None:
            heard = self._heard(message, task, stable=False)
            if heard.announcement.results:
                (label, confidence), *_ = heard.announcement.results
                stamp_ns = heard.announcement.stamp_ns
                task.updates.append(Update(name, label, confidence, stamp_ns, heard.received_ns))
                task.count += 1
            self._on_label(heard, task.camera)

        def on_stable(message: Classification) -> None:
            task.stable = message.results[0].class_id if message.results else UNLABELLED  # taken back
            self._on_label(self._heard(message, task, stable=True), task.camera)

        def on_direction(message: Classification) -> None:
            self._on_direction(self._heard(message, task, stable=False), task.camera)

        def on_labels(message: LabelInfo) -> None:
            task.labels = [entry.class_name for entry in message.class_map]
            task.threshold = message.threshold

        self.create_subscription(Classification, topic, on_update, self._as_offered(topic))
        self.create_subscription(Classification, f"{topic}/stable", on_stable, LATCHED)
        self.create_subscription(Classification, f"{topic}/direction", on_direction, RELIABLE)
        self.create_subscription(LabelInfo, f"{topic}/labels", on_labels, LATCHED)

    def _as_offered(self, topic: str) -> QoSProfile:
        """Reliable, unless a publisher offers less: then nothing would be heard at all."""
        offered = [each.qos_profile.reliability for each in self.get_publishers_info_by_topic(topic)]
        if ReliabilityPolicy.BEST_EFFORT in offered:
            return QoSProfile(depth=100, reliability=ReliabilityPolicy.BEST_EFFORT)
        return RELIABLE

    def _listen_to_truth(self, task: str) -> None:
        changes = self.truth.setdefault(task, [])

        def on_truth(message: Classification) -> None:
            changes.append(label_change(message, self.get_clock().now().nanoseconds))

        self.create_subscription(Classification, f"{self._truth_prefix}/{task}", on_truth, LATCHED)

    def _heard(self, message: Any, task: HeardTask, *, stable: bool) -> Heard:
        results = tuple((result.class_id, result.score) for result in message.results)
        announcement = Announcement(task.task, stable, nanoseconds_of(message.header.stamp), results)
        return Heard(announcement, self.get_clock().now().nanoseconds, message.header.frame_id)

    def _on_diagnostics(self, message: DiagnosticArray) -> None:
        mine = self.perception.strip("/") + ": "
        own = [status for status in message.status if status.name.startswith(mine)]
        if own:
            self.statuses = {status.name.removeprefix(mine): status for status in own}
            self.status_received_ns = self.get_clock().now().nanoseconds
            self.status_count += 1
