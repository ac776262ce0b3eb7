"""Label topics: from when on each label holds, when it ends, and whose word counts."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from step_ros.frames import BagError
from step_ros.frames.bags.labels import LabelChange, answer_topics, read_label_changes
from step_ros.frames.bags.messages import CLASSIFICATION, LABEL_INFO, STRING, classification, string
from step_ros.frames.bags.storage import Topic, open_bag
from step_ros.frames.bags.writing import new_bag

WriteBag = Callable[..., Path]
TRUTH = "/truth/verb"


def changes(bag: Path, topic: str = TRUTH) -> list[LabelChange]:
    with closing(open_bag(bag)) as storage:
        return read_label_changes(storage, topic)


@pytest.mark.parametrize(
    ("recorded", "expected"),
    [
        pytest.param([(9, classification([("open", 1.0)], 5))], [(5, "open")], id="from the header's stamp"),
        pytest.param(
            [(9, classification([("open", 1.0)], 0))], [(9, "open")], id="never stamped: when recorded"
        ),
        pytest.param([(9, string("open"))], [(9, "open")], id="a string: when recorded"),
        pytest.param(
            [(1, classification([("shut", 0.2), ("open", 0.7), ("pull", 0.7)], 1))],
            [(1, "open")],
            id="the best result, the first of equals",
        ),
        pytest.param(
            [(1, classification([("open", 1.0)], 1)), (2, classification([], 2))],
            [(1, "open"), (2, "")],
            id="no result ends a label",
        ),
        pytest.param(
            [(1, string("open")), (2, string(""))], [(1, "open"), (2, "")], id="an empty string too"
        ),
        pytest.param([(1, classification([], 1))], [], id="nothing ends before it begins"),
        pytest.param(
            [(at, string(label)) for at, label in enumerate(["open", "open", "shut", "shut"], 1)],
            [(1, "open"), (3, "shut")],
            id="what is said again is no change",
        ),
        pytest.param(
            [(8, classification([("shut", 1.0)], 4)), (9, classification([("open", 1.0)], 3))],
            [(3, "open"), (4, "shut")],
            id="in the order of stamps",
        ),
        pytest.param(
            [(8, classification([("shut", 1.0)], 4)), (9, classification([("open", 1.0)], 4))],
            [(4, "open")],
            id="of one stamp the last that was recorded",
        ),
    ],
)
def test_when_labels_hold(
    write_bag: WriteBag, recorded: list[tuple[int, Any]], expected: list[tuple[int, str]]
) -> None:
    bag = write_bag([(TRUTH, log_time_ns, message) for log_time_ns, message in recorded])
    assert changes(bag) == [LabelChange(*change) for change in expected]


def test_a_message_that_is_none_is_an_error(tmp_path: Path) -> None:
    with new_bag(tmp_path / "bag") as bag:
        bag.write_cdr(TRUTH, CLASSIFICATION, 1, b"\x00\x01\x00\x00nonsense")
    with pytest.raises(BagError, match=f"a message on {TRUTH} is not a {CLASSIFICATION}"):
        changes(tmp_path / "bag")


@pytest.mark.parametrize(
    ("topics", "answers"),
    [
        pytest.param({TRUTH: CLASSIFICATION}, set(), id="truth"),
        pytest.param(
            {TRUTH: CLASSIFICATION, "/p/verb": CLASSIFICATION, "/p/verb/labels": LABEL_INFO},
            {"/p/verb"},
            id="beside its labels",
        ),
        pytest.param(
            {"/p/verb": CLASSIFICATION, "/p/verb/stable": CLASSIFICATION},
            {"/p/verb", "/p/verb/stable"},
            id="beside its stable label",
        ),
        pytest.param(
            {"/p/verb/stable": CLASSIFICATION, "/p/verb/labels": LABEL_INFO},
            {"/p/verb/stable"},
            id="a stable label alone, beside its labels",
        ),
        pytest.param(
            {
                "/p/front/verb": CLASSIFICATION,
                "/p/front/verb/direction": CLASSIFICATION,
                "/p/front/verb/stable": CLASSIFICATION,
            },
            {"/p/front/verb", "/p/front/verb/direction", "/p/front/verb/stable"},
            id="one camera of several",
        ),
        pytest.param({"/truth/stable": CLASSIFICATION}, set(), id="a task of that name"),
        pytest.param({TRUTH: CLASSIFICATION, f"{TRUTH}/labels": STRING}, set(), id="labels of another type"),
    ],
)
def test_what_a_perception_node_answered(topics: dict[str, str], answers: set[str]) -> None:
    assert answer_topics({name: Topic(msgtype, 1) for name, msgtype in topics.items()}) == answers
