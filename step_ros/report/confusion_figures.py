"""Which labels are taken for which: the whole matrix, and the nearly symmetric pairs side by side."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from matplotlib.axes import Axes
from matplotlib.patches import Rectangle
from numpy.typing import NDArray

from step_ros.report import svg
from step_ros.report.scored import Scored, words

_PAIRS_A_ROW = 4


def confusion_figure(scored: Scored) -> str:
    """Rows are the true labels that occur, columns what was said; shares of each row.

    Partners stand next to each other, and squares on a partner's column have the partner's colour.
    """
    counts = scored.confusion()
    order = _order(scored, counts)
    shares = _shares(counts)
    rows = [i for i in order if counts[i].sum()]
    partner = {scored.labels.index(a): scored.labels.index(b) for a, b in scored.partner.items()}
    size = 0.27 * max(len(order), 6) + 1.9
    with svg.figure(size, 0.27 * max(len(rows), 3) + 1.7) as figure:
        axes = figure.subplots()
        for y, true in enumerate(rows):
            for x, said in enumerate(order):
                colour = (
                    svg.RIGHT if said == true else svg.PARTNER if partner.get(true) == said else svg.OTHER
                )
                _cell(axes, x, y, shares[true, said], colour, small=True)
        _name_axes(axes, [scored.labels[i] for i in order], [scored.labels[i] for i in rows])
        axes.set_xlabel("said")
        axes.set_ylabel("true")
        return svg.to_svg(
            figure,
            f"Confusion matrix of {words(scored.task)}: {_spoken(counts)}",
        )


def pair_matrices(scored: Scored) -> str | None:
    """A small matrix a pair: each told as itself, as its partner, as anything else; None without pairs."""
    counts = scored.confusion()
    index = {label: i for i, label in enumerate(scored.labels)}
    pairs = [(a, b) for a, b in scored.pairs if counts[index[a]].sum() + counts[index[b]].sum()]
    if not pairs:
        return None
    columns = min(_PAIRS_A_ROW, len(pairs))
    lines = -(-len(pairs) // columns)
    spoken = []
    with svg.figure(2.5 * columns, 1.75 * lines) as figure:
        grid = figure.subplots(lines, columns, squeeze=False)
        for axes in grid.flat:
            axes.set_axis_off()
        for axes, (a, b) in zip(grid.flat, pairs, strict=False):
            axes.set_axis_on()
            for y, (own, other) in enumerate(((a, b), (b, a))):
                total = counts[index[own]].sum()
                right, partner = counts[index[own], index[own]], counts[index[own], index[other]]
                row = np.array([right, partner, total - right - partner]) / max(total, 1)
                own_x, other_x = (0, 1) if own == a else (1, 0)
                for x, share, colour in (
                    (own_x, row[0], svg.RIGHT),
                    (other_x, row[1], svg.PARTNER),
                    (2, row[2], svg.OTHER),
                ):
                    _cell(axes, x, y, float(share), colour, small=False)
                spoken.append(f"{words(own)} {row[0]:.0%} right, {row[1]:.0%} taken for {words(other)}")
            _name_axes(axes, ["first", "second", "other"], [a, b])
            axes.set_xticks(range(3), ["said\n1st", "said\n2nd", "said\nother"], rotation=0, ha="center")
        return svg.to_svg(figure, "Nearly symmetric pairs: " + "; ".join(spoken))


def _order(scored: Scored, counts: NDArray[np.int64]) -> list[int]:
    """Labels that occur in truth or answers, partners next to each other, the idle label first."""
    occurs = counts.sum(0) + counts.sum(1) > 0
    in_pairs = [label for pair in scored.pairs for label in pair]
    others = [label for label in scored.labels if label not in in_pairs]
    ordered = [scored.labels.index(label) for label in [*others, *in_pairs]]
    return [i for i in ordered if occurs[i]]


def _shares(counts: NDArray[np.int64]) -> NDArray[np.float64]:
    totals: NDArray[np.float64] = np.maximum(counts.sum(axis=1, keepdims=True), 1).astype(np.float64)
    return counts / totals


def _cell(axes: Axes, x: int, y: int, share: float, colour: str, *, small: bool) -> None:
    axes.add_patch(Rectangle((x - 0.47, y - 0.47), 0.94, 0.94, color=svg.LINE, alpha=0.35, lw=0))
    if share > 0:
        axes.add_patch(Rectangle((x - 0.47, y - 0.47), 0.94, 0.94, color=colour, alpha=share * 0.85, lw=0))
    if share >= 0.005:
        text = f"{100 * share:.0f}"
        axes.text(x, y, text, ha="center", va="center", fontsize=7 if small else 10)


def _name_axes(axes: Axes, columns: Sequence[str], rows: Sequence[str]) -> None:
    axes.set_xticks(range(len(columns)), [words(name) for name in columns], rotation=60, ha="right")
    axes.set_yticks(range(len(rows)), [words(name) for name in rows])
    axes.set_xlim(-0.5, len(columns) - 0.5)
    axes.set_ylim(len(rows) - 0.5, -0.5)
    axes.tick_params(length=0, labelsize=8)
    axes.set_aspect("equal")
    for spine in axes.spines.values():
        spine.set_visible(False)


def _spoken(counts: NDArray[np.int64]) -> str:
    total = counts.sum()
    share = np.trace(counts) / total if total else 0.0
    return f"{share:.0%} of {total} updates on the diagonal. The table of classes has the figures."
