"""What a recording's label topics say, and from when on.

A message tells from when on a label holds, until the next on its topic:

- a vision_msgs/Classification with results: its best result's, from the stamp in its header (from when it was
  recorded, if nobody stamped it);
- a vision_msgs/Classification without results: no label holds from there on;
- a std_msgs/String: its text's, from when it was recorded; an empty one ends the label likewise.

What a perception node published is an answer, no truth. Its topics are known by what lies beside them: a node
offers `<task>/labels` and `<task>/stable` with every `<task>`.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, NamedTuple

from step_ros.frames.bags.messages import CLASSIFICATION, LABEL_INFO, STRING, stamp_ns_of, typestore
from step_ros.frames.bags.storage import BagError, Storage, Topic

LABEL_TYPES = (CLASSIFICATION, STRING)
"""What a topic of labels may carry."""


class LabelChange(NamedTuple):
    """From when on which label holds."""

    stamp_ns: int
    """When it begins, in nanoseconds; it holds until the next change."""
    label: str
    """The label; empty if none holds."""


def answer_topics(topics: Mapping[str, Topic]) -> set[str]:
    """Those topics of a bag on which a perception node published labels: its answers, not what is true."""
    types = {name: topic.msgtype for name, topic in topics.items()}

    def answered(task: str) -> bool:
        classifications = types.get(task) == types.get(f"{task}/stable") == CLASSIFICATION
        return classifications or types.get(f"{task}/labels") == LABEL_INFO

    def is_answer(name: str) -> bool:
        task, _, kind = name.rpartition("/")
        return answered(name) or (kind in ("stable", "direction") and answered(task))

    return {name for name, msgtype in types.items() if msgtype == CLASSIFICATION and is_answer(name)}


def read_label_changes(bag: Storage, topic: str) -> list[LabelChange]:
    """The changes on one topic, of `LABEL_TYPES`.

    Returns:
        In the order of time, each to another label than the one before; of messages with the same stamp the
        one that was recorded last holds.

    Raises:
        BagError: a message is not of the topic's type.
    """
    changes: list[LabelChange] = []
    for stamp_ns, label in sorted(dict(_told(bag, topic)).items()):
        if label != (changes[-1].label if changes else ""):
            changes.append(LabelChange(stamp_ns, label))
    return changes


def label_change(message: Any, log_time_ns: int) -> LabelChange:
    """What a vision_msgs/Classification says, be it read from a bag or heard.

    Args:
        message: of rosbags or of rclpy.
        log_time_ns: when it was recorded or came.
    """
    best = max(message.results, key=lambda result: float(result.score), default=None)
    return LabelChange(stamp_ns_of(message, log_time_ns), best.class_id if best is not None else "")


def _told(bag: Storage, topic: str) -> Iterator[LabelChange]:
    """What each message says, in the order of recording."""
    msgtype = bag.topics[topic].msgtype
    for log_time_ns, cdr in bag.messages(topic):
        try:
            message: Any = typestore().deserialize_cdr(cdr, msgtype)
        except Exception as error:  # rosbags has no one error for bytes that are no such message
            raise BagError(
                f"a message on {topic} is not a {msgtype}: {type(error).__name__}: {error}"
            ) from error
        if msgtype == STRING:
            yield LabelChange(log_time_ns, message.data)
        else:
            yield label_change(message, log_time_ns)
