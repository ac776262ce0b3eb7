"""A run as plots: cost against tasks, window length and cameras, and beside what the paper counts."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from step_ros.benchmark.results import Results
from step_ros.benchmark.row import Row

if TYPE_CHECKING:
    from matplotlib.axes import Axes

# One colour a method, in every plot; they stay apart for the colour-blind (Okabe and Ito).
COLOURS: Mapping[str, str] = {
    "recompute": "#D55E00",
    "cached": "#E69F00",
    "streaming": "#0072B2",
    "multi_pass": "#7F7F7F",
}
_NAMES: Mapping[str, str] = {
    "recompute": "whole window recomputed",
    "cached": "cached tokens, plain heads",
    "streaming": "streaming (step_ros)",
    "multi_pass": "a backbone pass a task",
}

PAPER: Mapping[str, float] = {
    "backbone alone": 351.5,
    "STEP, one task": 413.1,
    "STEP, three tasks": 536.5,
    "VPT, a pass for each of three tasks": 1087.0,
    "ST-Adaptor, a pass for each of three tasks": 3297.0,
}
"""GFLOPs of a clip of 16 frames in the STEP paper, tables I and V."""


def draw_plots(results: Results, folder: Path) -> list[Path]:
    """Write cost.png, and flops.png where the run has ViT-B/14.

    Costs are those of each method's fastest update: what the code costs, whatever else the machine did.

    Args:
        results: of a run.
        folder: where to; made if need be.
    """
    import matplotlib

    matplotlib.use("Agg")
    from matplotlib import pyplot

    folder.mkdir(parents=True, exist_ok=True)
    main = _main_backbone(results)
    axes: Any
    figure, axes = pyplot.subplots(1, 3, figsize=(13, 4.2), layout="constrained", sharey=True)
    _lines(
        axes[0],
        results,
        lambda row: row.tasks,
        "tasks",
        lambda row: (row.frames, row.cameras) == (16, 1),
        main,
    )
    _lines(
        axes[1],
        results,
        lambda row: row.frames,
        "frames in a window, T",
        lambda row: (row.tasks, row.cameras) == (3, 1),
        main,
    )
    _lines(
        axes[2],
        results,
        lambda row: row.cameras,
        "cameras",
        lambda row: (row.tasks, row.frames) == (3, 16),
        main,
    )
    for axis, title in zip(
        axes, ("T = 16, one camera", "three tasks, one camera", "three tasks, T = 16"), strict=True
    ):
        axis.set_title(title, fontsize=10)
    axes[0].set_ylabel("milliseconds an update, the fastest")
    handles, labels = axes[0].get_legend_handles_labels()
    figure.legend(handles, labels, loc="outside lower center", ncols=len(labels), frameon=False)
    written = [folder / "cost.png"]
    figure.savefig(written[0], dpi=130)
    pyplot.close(figure)
    counts = paper_counts(results)
    if counts:
        figure, axis = pyplot.subplots(figsize=(9, 4.2), layout="constrained")
        _bars(axis, counts)
        written.append(folder / "flops.png")
        figure.savefig(written[1], dpi=130)
        pyplot.close(figure)
    return written


def paper_counts(results: Results) -> list[tuple[str, float | None, float | None]]:
    """What is counted, the paper's count, and ours: multiply-adds, in thousands of millions."""
    recompute, streaming = (results.row(method, "vitb14", 16, 3) for method in ("recompute", "streaming"))
    passes = results.row("multi_pass", "vitb14", 16, 3)
    if recompute is None or streaming is None or passes is None:
        return []
    backbone = passes.flops / 3
    head = (recompute.flops - backbone) / 3
    # Prompts add little to a pass; an ST-Adaptor is another network, of which there is none here.
    ours = (backbone, backbone + head, recompute.flops, passes.flops, None)
    counts: list[tuple[str, float | None, float | None]] = [
        (name, paper, None if flops is None else flops / 2e9)
        for (name, paper), flops in zip(PAPER.items(), ours, strict=True)
    ]
    return [*counts, ("streaming, three tasks: an update", None, streaming.flops / 2e9)]


def _main_backbone(results: Results) -> str:
    """The one with the most rows."""
    names = [row.backbone for row in results.rows]
    return max(names, key=names.count, default="")


def _lines(
    axis: Axes,
    results: Results,
    x: Callable[[Row], int],
    label: str,
    keep: Callable[[Row], bool],
    backbone: str,
) -> None:
    for method, colour in COLOURS.items():
        rows = sorted(
            (row for row in results.rows if row.method == method and row.backbone == backbone and keep(row)),
            key=x,
        )
        if rows:
            points = [x(row) for row in rows], [row.best_ms for row in rows]
            axis.plot(*points, "o-", color=colour, label=_NAMES[method])
    axis.set_xlabel(label)
    axis.set_yscale("log")
    shown = sorted({x(row) for row in results.rows if keep(row) and row.backbone == backbone})
    axis.set_xticks(shown)
    axis.grid(alpha=0.3, which="both")
    axis.spines[["top", "right"]].set_visible(False)


def _bars(axis: Axes, counts: list[tuple[str, float | None, float | None]]) -> None:
    for position, (_, paper, ours) in enumerate(counts):
        for offset, count, colour in ((-0.2, paper, "#BBBBBB"), (0.2, ours, COLOURS["streaming"])):
            if count is not None:
                axis.barh(position + offset, count, height=0.38, color=colour)
                axis.text(count + 20, position + offset, f"{count:.4g}", va="center", fontsize=9)
    axis.barh(0, 0, color="#BBBBBB", label="as the paper counts")
    axis.barh(0, 0, color=COLOURS["streaming"], label="as FlopCounterMode counts, halved")
    axis.set_yticks(range(len(counts)), [name for name, _, _ in counts])
    axis.invert_yaxis()
    axis.set_xlabel("multiply-adds, thousands of millions; ViT-B/14, T = 16")
    axis.spines[["top", "right"]].set_visible(False)
    axis.legend(frameon=False, loc="lower right")
