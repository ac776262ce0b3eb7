"""What several tasks cost, beside what was published."""

from __future__ import annotations

from step_ros.paper.published import published_tables
from step_ros.paper.several_tasks import COSTED_METHODS, count
from step_ros.paper.several_tasks_table import figure4_rows, table5_rows


def test_tables_have_every_method_and_what_was_published() -> None:
    costs = count()
    rows = table5_rows(costs, published_tables()["table5"])
    assert {row[0] for row in rows[1:]} == set(COSTED_METHODS)
    assert all(len(row) == len(rows[0]) for row in rows)
    by_name = {(row[0], row[1]): row for row in rows[1:]}
    assert by_name["STEP", "1"][-4:] == ["536.5", "76.80", "75.28", "76.51"]
    assert by_name["ST-Adaptor", "3"][-4:] == ["3297", "70.54", "72.95", "74.26"]
    assert by_name["M2-CLIP", "3"][-4:] == ["-"] * 4
    assert [row[0] for row in figure4_rows(costs)] == ["tasks", *COSTED_METHODS]
