"""Tables for people and their programs."""

from __future__ import annotations

import csv
import io

import pytest

from step_ros.scores.tables import csv_table, harmless


@pytest.mark.parametrize("cell", ["=1+1", "+cmd", "-open", "@SUM(A1)", "\tx", "-1+1", "=", "+4 9"])
def test_what_a_spreadsheet_would_run_is_text(cell: str) -> None:
    assert harmless(cell) == f"'{cell}"
    assert next(csv.reader(io.StringIO(csv_table([["open", cell]])))) == ["open", f"'{cell}"]


@pytest.mark.parametrize("cell", ["", "-", "-1.5", "+3", "1e-3", "-2e5", "open", "a=b", "öffnen", "'", '"'])
def test_numbers_and_words_are_as_they_are(cell: str) -> None:
    assert harmless(cell) == cell
