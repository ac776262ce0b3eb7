"""A page that says how far to trust heads: the verdict in sentences, and what is taken for what."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from step_ros.atomic_files import write_text
from step_ros.report.confusion_figures import confusion_figure, pair_matrices
from step_ros.report.scored import Scored, words
from step_ros.report.tables import Table
from step_ros.report.template import render_page
from step_ros.scores.classes import class_result, confusion_matrix
from step_ros.scores.probabilities import softmax
from step_ros.scores.score import NOTHING, percent
from step_ros.scores.verdict import Finding, Gravity, Judged, interval


@dataclass(frozen=True)
class HeadSection:
    """What the page shows of one head."""

    task: str
    choice: str
    """Why it is of its kind."""
    judged: Judged
    findings: Sequence[Finding]

    @property
    def title(self) -> str:
        """The task as people write it."""
        return words(self.task)

    @property
    def verdict(self) -> list[tuple[str, list[str]]]:
        """Sentences by their gravity, the gravest first."""
        by_gravity = {g: [f.sentence for f in self.findings if f.gravity is g] for g in Gravity}
        return [(gravity.value, sentences) for gravity, sentences in by_gravity.items() if sentences]

    @property
    def figures(self) -> list[str]:
        """SVG of the confusion matrix, and of the pairs if there are any."""
        judged, targets = self.judged, np.asarray(self.judged.targets, np.int64)
        probabilities = softmax(judged.logits, judged.temperature)
        drawn = Scored(
            task=self.task,
            labels=tuple(judged.labels),
            pairs=tuple(judged.pairs),
            idle=None,
            stamps_ns=np.zeros(len(targets), np.int64),
            true=targets,
            said=probabilities.argmax(1),
            confidence=probabilities.max(1).astype(np.float32),
        )
        return [figure for figure in (confusion_figure(drawn), pair_matrices(drawn)) if figure is not None]

    @property
    def classes(self) -> Table:
        """A row a class: its clips, how many are right and with what certainty, what it is taken for."""
        judged, answers = self.judged, self.judged.logits.argmax(1)
        counts = confusion_matrix(judged.targets, answers, len(judged.labels))
        rows: list[tuple[str, ...]] = []
        for label in np.unique(judged.targets).tolist():
            result, of = class_result(counts, judged.labels, label), judged.targets == label
            recordings = [r for r, taken in zip(judged.recordings, of, strict=True) if taken]
            found = interval(answers[of] == label, recordings)
            taken_for = (
                f"{words(result.confusion)} ({percent(result.confusion_rate)} %)" if result.confusion else ""
            )
            taught = str((judged.trained or {}).get(result.label, 0) or NOTHING)
            rows.append(
                (words(result.label), taught, str(result.clips), percent(found.share),
                 f"{percent(found.low)} to {percent(found.high)}", taken_for)
            )  # fmt: skip
        columns = (
            "class",
            "clips that taught it",
            "clips judged",
            "right, %",
            "95 % of confidence",
            "taken for",
        )
        return Table("Every class", columns, rows)


def write_heads_page(path: Path, title: str, heads: Sequence[HeadSection], facts: Mapping[str, str]) -> None:
    """Write a page that refers to nothing outside itself.

    Args:
        path: of the file.
        title: what it is about.
        heads: what to show, in this order.
        facts: how they came about, by what to call it.
    """
    page = render_page("heads.html", title=title, heads=heads, facts=facts, doubt=Gravity.DOUBT.value)
    write_text(path, page)
