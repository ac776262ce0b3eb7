"""The figures that the STEP paper printed, to stand beside ours."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from importlib.resources import files
from typing import Any

import yaml


@dataclass(frozen=True)
class PublishedTable:
    """One table of the paper."""

    name: str
    """"table1" to "table10"."""
    title: str
    unit: str
    """"percent" or "share"."""
    columns: tuple[str, ...]
    """What is measured on each data set; most are fields of `ClipScores`."""
    datasets: tuple[str, ...]
    rows: tuple[dict[str, Any], ...]
    """Each with its method (or class), and of each data set a value a column, or None."""
    note: str = ""

    def row(self, method: str, backbone: str = "DINOv2") -> dict[str, Any] | None:
        """The row of a method, or of "method, classifier"; of several backbones the one named."""
        rows = [row for row in self.rows if _name(row) == method]
        return next((row for row in rows if row.get("backbone") == backbone), rows[0] if rows else None)


def _name(row: dict[str, Any]) -> str:
    """What a row is called: its method, and its classifier where it says that."""
    return ", ".join(row[part] for part in ("method", "classifier") if part in row)


def published_tables() -> dict[str, PublishedTable]:
    """All tables, I to X, by name."""
    text = files("step_ros.paper").joinpath("published.yaml").read_text(encoding="utf-8")
    return {
        name: PublishedTable(
            name,
            content["title"],
            content["unit"],
            tuple(content["columns"]),
            tuple(content["datasets"]),
            tuple(content["rows"]),
            content.get("note", ""),
        )
        for name, content in yaml.safe_load(text).items()
    }


def overview(published: Mapping[str, PublishedTable]) -> list[list[str]]:
    """Header and a row a table: what it shows, which data it needs, and which command runs it."""
    rows = [["table", "what it shows", "data sets", "run by"]]
    for name, about in published.items():
        needs = ", ".join(f"--data {dataset}=FOLDER" for dataset in about.datasets)
        rows.append([name, about.title, needs, f"step-ros reproduce {name}"])
    return rows
