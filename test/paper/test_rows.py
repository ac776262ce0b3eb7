"""The published tables, whole and consistent, and rows that run on a store of drawn videos."""

from __future__ import annotations

import pytest

from step_ros.paper.published import published_tables
from step_ros.paper.rows import ROWS, TRAINED_METHODS


def test_all_ten_tables_are_there_with_a_value_or_none_a_column() -> None:
    tables = published_tables()
    assert list(tables) == [f"table{number}" for number in range(1, 11)]
    for table in tables.values():
        for row in table.rows:
            assert "method" in row or "class" in row
            given = [name for name in table.datasets if name in row]
            assert given
            assert all(len(row[name]) == len(table.columns) for name in given)


def test_figures_agree_where_two_tables_have_the_same() -> None:
    tables = published_tables()
    step = tables["table1"].row("step")
    assert step is not None and step["hri30"] == [82.14, 96.78, 87.02]
    assert tables["table1"].row("step", "CLIP")["hri30"][2] == 66.66  # type: ignore[index]
    for name in ("table6", "table7", "table8", "table9", "table10"):
        assert tables[name].row("step")["drive_and_act"] == [78.40]  # type: ignore[index]
    symmetric = [row["class"] for row in tables["table3"].rows]
    assert len(set(symmetric)) == 20


@pytest.mark.parametrize("table", [f"table{number}" for number in (1, 2, 3, 4, 6, 7, 8, 9, 10)])
def test_every_row_that_runs_stands_in_its_table(table: str) -> None:
    assert set(ROWS[table]) <= set(TRAINED_METHODS)
    if table not in ("table2", "table3"):
        published = published_tables()[table]
        assert all(published.row(method) for method in ROWS[table])
