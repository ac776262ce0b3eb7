"""A run as a plot: cost against tasks, window length and cameras."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from step_ros.atomic_files import new_file
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


def draw_costs(results: Results, path: Path) -> None:
    """Write the plot.

    Costs are those of each method's fastest update: what the code costs, whatever else the machine did.

    Args:
        results: of a run.
        path: of the picture; its folder is made if need be.
    """
    import matplotlib

    matplotlib.use("Agg")
    from matplotlib import pyplot

    path.parent.mkdir(parents=True, exist_ok=True)
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
    with new_file(path) as draft:
        figure.savefig(draft, dpi=130)
    pyplot.close(figure)


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
