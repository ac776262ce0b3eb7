"""Results as tables: in the terminal, as csv and as markdown."""

from __future__ import annotations

import csv
import io
import re
from collections.abc import Mapping, Sequence

from rich.table import Table
from rich.text import Text

from step_ros.scores.classes import ClassReport
from step_ros.scores.clips import ClipScores
from step_ros.scores.score import NOTHING, percent, score_rows
from step_ros.scores.verdict import Finding, Gravity

_BEGINS_FORMULA = frozenset("=+-@\t\r")
_NUMBER = re.compile(r"[-+]?[0-9.]*(e[-+]?[0-9]+)?")
"""A number, or the dash that stands for none."""


def metrics_rows(results: Mapping[str, ClipScores]) -> list[list[str]]:
    """Header and a row a metric; a column a result, whose head says of how many clips."""
    contents = {f"{name} ({scores.clips} clips)": scores.to_json() for name, scores in results.items()}
    return score_rows(ClipScores, contents, leave_out=["clips"])


def class_rows(report: ClassReport) -> list[list[str]]:
    """Header and a row a class, as in the STEP paper's table III."""
    rows = [["class", "clips", "top-1", "most common confusion", "rate"]]
    for each in report.classes:
        confusion = [each.confusion or NOTHING, percent(each.confusion_rate)]
        rows.append([each.label, str(each.clips), percent(each.accuracy), *confusion])
    return rows


def terminal_table(rows: Sequence[Sequence[str]], *, title: str = "") -> Table:
    """For rich's console; a row of nothing but dashes is left out."""
    table = Table(*rows[0], title=title or None)
    for row in rows[1:]:
        if any(value != NOTHING for value in row[1:]):
            table.add_row(*row)
    return table


def verdict_text(task: str, findings: Sequence[Finding]) -> Text:
    """How far to trust a head, for rich's console: a line a finding, under what kind it is."""
    text = Text()
    for gravity in Gravity:
        sentences = [finding.sentence for finding in findings if finding.gravity is gravity]
        if sentences:
            text.append(
                f"{task}, {gravity.value}\n", style="bold red" if gravity is Gravity.DOUBT else "bold"
            )
            text.append("".join(f"  - {sentence}\n" for sentence in sentences))
    return text


def markdown_table(rows: Sequence[Sequence[str]]) -> str:
    """Rows as Markdown, the first one as the header; ends with a line break."""
    lines = [" | ".join(row) for row in rows]
    lines.insert(1, " | ".join(["---", *["---:"] * (len(rows[0]) - 1)]))
    return "\n".join(f"| {line} |" for line in lines) + "\n"


def csv_table(rows: Sequence[Sequence[str]]) -> str:
    """Rows as csv, with line feeds; quoted where need be, see `harmless`."""
    text = io.StringIO()
    csv.writer(text, lineterminator="\n").writerows(map(harmless, row) for row in rows)
    return text.getvalue()


def harmless(cell: str) -> str:
    """A cell that a spreadsheet shows and does not run: an apostrophe goes before what it took for a formula.

    Example:
        >>> harmless("=HYPERLINK(A1)"), harmless("-1.5"), harmless("open")
        ("'=HYPERLINK(A1)", '-1.5', 'open')
    """
    return f"'{cell}" if cell[:1] in _BEGINS_FORMULA and not _NUMBER.fullmatch(cell) else cell
