"""Cost against tasks as a picture: the STEP paper's figure 4, counted and timed here."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from step_ros.atomic_files import new_file
from step_ros.paper.several_tasks import MethodCost

if TYPE_CHECKING:
    from matplotlib.axes import Axes

MOST_TASKS = 8

# They stay apart for the colour-blind (Okabe and Ito); STEP is as in the other plots.
_COLOURS = {
    "STEP": "#0072B2",
    "VPT": "#E69F00",
    "AdaptFormer": "#56B4E9",
    "ST-Adaptor": "#D55E00",
    "M2-CLIP": "#009E73",
    "VitaCLIP": "#CC79A7",
}
_MARKS = dict(zip(_COLOURS, "osv^Dx", strict=True))


def draw_figure(costs: Sequence[MethodCost], path: Path) -> None:
    """Write the figure, as PNG or SVG by the file's name.

    Args:
        costs: of every method; the panel of seconds is left out where they were not measured.
        path: of the picture; its folder is made if need be.
    """
    import matplotlib

    matplotlib.use("Agg")
    from matplotlib import pyplot

    panels: list[tuple[str, str, Callable[[MethodCost, int], float]]] = [
        ("a clip", "10⁹ multiply-adds", lambda cost, tasks: cost.macs(tasks) / 1e9),
        ("one more frame of a stream, backbones only", "10⁹ multiply-adds", _a_frame),
    ]
    if all(cost.pass_seconds is not None for cost in costs):
        panels.insert(1, ("a clip, measured", "seconds", lambda cost, tasks: cost.seconds(tasks) or 0.0))
    axes: Any
    figure, axes = pyplot.subplots(1, len(panels), figsize=(4.5 * len(panels), 4.3), layout="constrained")
    for axis, (title, unit, value) in zip(axes, panels, strict=True):
        _panel(axis, costs, value)
        axis.set_title(title, fontsize=10)
        axis.set_ylabel(unit)
    for axis in axes[:-1]:
        axis.set_ylim(bottom=0)
    axes[-1].set_yscale("log")  # adapters that mix frames encode all T of them again
    handles, labels = axes[0].get_legend_handles_labels()
    figure.legend(handles, labels, loc="outside lower center", ncols=len(labels), frameon=False)
    path.parent.mkdir(parents=True, exist_ok=True)
    with new_file(path) as draft:
        figure.savefig(draft, dpi=130)
    pyplot.close(figure)


def _a_frame(cost: MethodCost, tasks: int) -> float:
    return cost.macs_a_frame(tasks) / 1e9


def _panel(axis: Axes, costs: Sequence[MethodCost], value: Callable[[MethodCost, int], float]) -> None:
    tasks = range(1, MOST_TASKS + 1)
    for cost in costs:
        axis.plot(
            tasks,
            [value(cost, count) for count in tasks],
            color=_COLOURS[cost.method],
            marker=_MARKS[cost.method],
            markersize=4,
            label=cost.method,
        )
    axis.set_xlabel("tasks")
    axis.grid(alpha=0.3)
    axis.spines[["top", "right"]].set_visible(False)
