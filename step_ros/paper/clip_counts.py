"""What a clip takes, by the paper's count and by a benchmark's: multiply-adds, as a table and as a plot."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from step_ros.atomic_files import new_file
from step_ros.benchmark.plots import COLOURS
from step_ros.benchmark.results import Results
from step_ros.benchmark.table import markdown
from step_ros.paper.published import published_tables

if TYPE_CHECKING:
    from matplotlib.axes import Axes

_GREY = "#BBBBBB"


@dataclass(frozen=True)
class ClipCount:
    """Multiply-adds of a clip of 16 frames on a ViT-B/14, in thousands of millions."""

    what: str
    """In words."""
    paper: float | None
    """What the paper calls GFLOPs; None where it has none."""
    ours: float | None
    """Half of what FlopCounterMode counts; None where nothing was run."""


def clip_counts(results: Results) -> list[ClipCount]:
    """Tables I and V beside a run; nothing where the run has no ViT-B/14 with three tasks."""
    recompute, streaming, passes = (
        results.row(method, "vitb14", 16, 3) for method in ("recompute", "streaming", "multi_pass")
    )
    if recompute is None or streaming is None or passes is None:
        return []
    tables = published_tables()
    methods = {row["method"]: row for row in tables["table1"].rows if row["backbone"] == "DINOv2"}
    several = {(row["method"], row["passes"]): row["gflops"] for row in tables["table5"].rows}
    backbone = passes.flops / 3
    head = (recompute.flops - backbone) / 3
    # Prompts add little to a pass; an ST-Adaptor is another network, of which there is none here.
    return [
        ClipCount("backbone alone", methods["linear"]["gflops"], backbone / 2e9),
        ClipCount("STEP, one task", methods["step"]["gflops"], (backbone + head) / 2e9),
        ClipCount("STEP, three tasks", several["step", 1], recompute.flops / 2e9),
        ClipCount("VPT, a pass for each of three tasks", several["VPT", 3], passes.flops / 2e9),
        ClipCount("ST-Adaptor, a pass for each of three tasks", several["ST-Adaptor", 3], None),
        ClipCount("streaming, three tasks: an update", None, streaming.flops / 2e9),
    ]


def counts_table(counts: Sequence[ClipCount]) -> str:
    """As Markdown."""
    rows = [(each.what, _text(each.paper), _text(each.ours)) for each in counts]
    return markdown(("ViT-B/14, T = 16", "paper", "ours"), rows)


def draw_counts(counts: Sequence[ClipCount], path: Path) -> None:
    """Write a plot of them.

    Args:
        counts: at least one.
        path: of the picture; its folder is made if need be.
    """
    import matplotlib

    matplotlib.use("Agg")
    from matplotlib import pyplot

    path.parent.mkdir(parents=True, exist_ok=True)
    figure, axis = pyplot.subplots(figsize=(9, 4.2), layout="constrained")
    _bars(axis, counts)
    with new_file(path) as draft:
        figure.savefig(draft, dpi=130)
    pyplot.close(figure)


def _text(count: float | None) -> str:
    return "–" if count is None else f"{count:.4g}"


def _bars(axis: Axes, counts: Sequence[ClipCount]) -> None:
    for position, each in enumerate(counts):
        for offset, count, colour in ((-0.2, each.paper, _GREY), (0.2, each.ours, COLOURS["streaming"])):
            if count is not None:
                axis.barh(position + offset, count, height=0.38, color=colour)
                axis.text(count + 20, position + offset, f"{count:.4g}", va="center", fontsize=9)
    axis.barh(0, 0, color=_GREY, label="as the paper counts")
    axis.barh(0, 0, color=COLOURS["streaming"], label="as FlopCounterMode counts, halved")
    axis.set_yticks(range(len(counts)), [each.what for each in counts])
    axis.invert_yaxis()
    axis.set_xlabel("multiply-adds, thousands of millions; ViT-B/14, T = 16")
    axis.spines[["top", "right"]].set_visible(False)
    axis.legend(frameon=False, loc="lower right")
