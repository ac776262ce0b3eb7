"""What a score is called, what it is counted in and how it is shown: said once, where the score is declared.

Conventions: a set of scores is a frozen dataclass that derives from `Scores`. A field that is a score
carries a `Score` in its annotation; a field may also be another set. Files, the terminal's tables and the
report's page are made from that, so that a field, and what fills it, is all that a new score needs::

    @dataclass(frozen=True)
    class OrderScores(Scores):
        edit: Annotated[Value, Score("edit", "%", "likeness of the orders of segments")]

Shares are kept in [0, 1] and shown in per cent. None stands where there is nothing to count.
"""

from __future__ import annotations

import math
import types
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, fields, replace
from typing import Any, ClassVar, Union, get_args, get_origin, get_type_hints

Value = float | None
"""Of a score; None where there is nothing to count."""

NOTHING = "-"
"""What is shown where there is nothing to count."""


@dataclass(frozen=True)
class Score:
    """How people read a score."""

    title: str
    """What it is called; of a set of scores, what comes before the titles of its own."""
    unit: str = ""
    """What it is counted in: "%" of a share in [0, 1], "s", "1/min"; nothing of a count."""
    doc: str = ""
    """What it says, in half a sentence; of a set, what those of its own say that have no word of theirs."""
    format: str = ".1f"
    """Of the number that is shown."""
    key: str = ""
    """Its name in JSON, where that is not the field's."""

    def text(self, value: float | None) -> str:
        """A value as it is shown, without its unit; `NOTHING` of None and NaN."""
        if value is None or math.isnan(value):
            return NOTHING
        return format(100 * value if self.unit == "%" else value, self.format)

    def text_with_unit(self, value: float | None) -> str:
        """A value as it is shown by itself."""
        return f"{self.text(value)} {self.unit}".rstrip()


class Scores:
    """A set of scores; frozen dataclasses derive from it."""

    DECIMALS: ClassVar[int | None] = 4
    """What its values are rounded to in JSON; None as they are."""

    def to_json(self) -> dict[str, Any]:
        """Every field as a JSON object, sets in it as objects of their own; null where there is nothing."""
        scores = _scores(type(self)).items()
        return {score.key or name: self._json(getattr(self, name)) for name, score in scores}

    def _json(self, value: Any) -> Any:
        if isinstance(value, Scores):
            return value.to_json()
        if isinstance(value, Mapping):
            return {name: self._json(each) for name, each in value.items()}
        if isinstance(value, float):  # JSON has no NaN
            return (
                None if math.isnan(value) else value if self.DECIMALS is None else round(value, self.DECIMALS)
            )
        return value


def described(kind: type[Scores]) -> dict[str, Score]:
    """The scores of a set, those of sets in it included, in the order of their fields.

    Returns:
        By key in `Scores.to_json`, with a dot before each deeper one; titles name the sets they are in.
    """
    found: dict[str, Score] = {}
    hints = get_type_hints(kind)
    for name, score in _scores(kind).items():
        key = score.key or name
        inner = _set_in(hints[name])
        if inner is not None:
            for deeper, own in described(inner).items():
                title = f"{score.title or name}: {own.title}"
                found[f"{key}.{deeper}"] = replace(own, title=title, doc=own.doc or score.doc)
        elif score.title:
            found[key] = score
    return found


def value_at(content: Mapping[str, Any], key: str) -> float | None:
    """A value in what `Scores.to_json` gave, by its key in `described`; None where there is none."""
    value: Any = content
    for name in key.split("."):
        value = value.get(name) if isinstance(value, Mapping) else None
    return value  # type: ignore[no-any-return]


def score_rows(
    kind: type[Scores], results: Mapping[str, Mapping[str, Any]], *, leave_out: Collection[str] = ()
) -> list[list[str]]:
    """A table of text: a header, a row a score, a column a result.

    Args:
        kind: the set that the results are.
        results: of each column's name what `Scores.to_json` gave.
        leave_out: keys of scores that get no row.

    Returns:
        Rows of one length. The first column names the scores, and their unit where it is not "%".
    """
    rows = [["%", *results]]
    for key, score in described(kind).items():
        if key in leave_out:
            continue
        title = score.title if score.unit in ("", "%") else f"{score.title} ({score.unit})"
        rows.append([title, *(score.text(value_at(content, key)) for content in results.values())])
    return rows


def percent(share: float | None) -> str:
    """A share in per cent with one decimal and without the sign; `NOTHING` of None and NaN."""
    return Score("", "%").text(share)


def share(outcomes: Iterable[bool]) -> float | None:
    """Of how many something is so, in [0, 1]; None of none."""
    outcomes = list(outcomes)
    return float(sum(outcomes) / len(outcomes)) if outcomes else None


def _scores(kind: type[Scores]) -> dict[str, Score]:
    """Of each field its `Score`, or one that says nothing."""
    hints = get_type_hints(kind, include_extras=True)
    names = [field.name for field in fields(kind)]  # type: ignore[arg-type]  # a dataclass derives from it
    said = {name: [each for each in get_args(hints[name]) if isinstance(each, Score)] for name in names}
    return {name: scores[0] if scores else Score("") for name, scores in said.items()}


def _set_in(hint: Any) -> type[Scores] | None:
    """The set of scores that a field holds, be it optional; None of any other field."""
    options = get_args(hint) if get_origin(hint) in (Union, types.UnionType) else (hint,)
    return next((each for each in options if isinstance(each, type) and issubclass(each, Scores)), None)
