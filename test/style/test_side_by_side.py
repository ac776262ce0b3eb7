"""What starts nodes is where tests take turns, whoever adds it."""

from __future__ import annotations

import re
from pathlib import Path

from ..side_by_side import LONG, ONE_AT_A_TIME, TEST, folder_of, unit_of


def test_what_is_named_is_there() -> None:
    assert all((TEST / name).exists() for name in (*ONE_AT_A_TIME, *LONG))


def test_a_folder_whose_tests_take_turns_is_one_workers_and_every_other_file_by_itself() -> None:
    for name in ONE_AT_A_TIME:
        assert {unit_of(path) for path in (TEST / name).rglob("test_*.py")} == {name}
    assert unit_of(TEST / "frames" / "test_clip.py") != unit_of(TEST / "frames" / "test_frame.py")


def test_who_joins_a_ros_graph_takes_turns() -> None:
    joins = re.compile(r"ros_graph import|\bgraph: Any|import .*Executor|rclpy\.executors|\.spin(_once)?\(")
    beside = {
        str(path.relative_to(TEST))
        for path in TEST.rglob("test_*.py")
        if folder_of(path) not in ONE_AT_A_TIME and joins.search(path.read_text()) and path != Path(__file__)
    }
    assert not beside, f"move these into a folder of {sorted(ONE_AT_A_TIME)}"
