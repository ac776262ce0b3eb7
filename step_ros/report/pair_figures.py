"""Nearly symmetric pairs over time, and how far apart their windows lie before and after the head."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from step_ros.report import svg
from step_ros.report.scored import Scored, words
from step_ros.report.second_look import PairEmbeddings
from step_ros.scores.probabilities import Floats
from step_ros.scores.timeline import TruthTimeline

_PAIRS_A_ROW = 3
_BIN_SECONDS = 0.2
_LONGEST_SECONDS = 6.0


def confusion_in_time(scored: Scored, truth: TruthTimeline) -> str | None:
    """Since a paired action began: how often it is told right, as its partner, as anything else.

    None where no such action occurs.
    """
    onsets = np.array([change.onset_ns for change in truth.changes], np.int64)
    index = {label: i for i, label in enumerate(scored.labels)}
    shown = [label for pair in scored.pairs for label in pair if (scored.true == index[label]).any()]
    if not shown:
        return None
    columns = min(_PAIRS_A_ROW, len(shown))
    lines = -(-len(shown) // columns)
    with svg.figure(2.7 * columns, 1.7 * lines + 0.3) as figure:
        grid = figure.subplots(lines, columns, squeeze=False, sharey=True)
        for axes in grid.flat[len(shown) :]:
            axes.set_axis_off()
        for axes, label in zip(grid.flat, shown, strict=False):
            chosen = scored.true == index[label]
            began = onsets[np.searchsorted(onsets, scored.stamps_ns[chosen], side="right") - 1]
            elapsed = (scored.stamps_ns[chosen] - began) / 1e9
            said = scored.said[chosen]
            bins = np.minimum(elapsed, _LONGEST_SECONDS - 1e-6) // _BIN_SECONDS
            xs, right, partner = _shares_in_bins(
                bins.astype(int), said == index[label], said == index[scored.partner[label]]
            )
            axes.stackplot(
                xs,
                right,
                partner,
                1 - right - partner,
                colors=[svg.RIGHT, svg.PARTNER, svg.OTHER],
                alpha=0.8,
                labels=["right", "partner", "other"],
                step="post",
            )
            axes.set_title(words(label), fontsize=9)
            axes.set_xlim(0, max(float(xs[-1]), _BIN_SECONDS))
            axes.set_ylim(0, 1)
        grid[-1, 0].set_xlabel("seconds since its onset")
        grid[0, 0].set_ylabel("share of updates")
        handles, names = grid[0, 0].get_legend_handles_labels()
        figure.legend(handles, names, loc="outside upper right", ncols=3)
        return svg.to_svg(figure, "What each nearly symmetric action is taken for, by time since its onset")


def _shares_in_bins(
    bins: NDArray[np.int64], right: NDArray[np.bool_], partner: NDArray[np.bool_]
) -> tuple[Floats, Floats, Floats]:
    last = int(bins.max())
    counts = np.maximum(np.bincount(bins, minlength=last + 1), 1)
    shares = [np.bincount(bins, weights=hits, minlength=last + 1) / counts for hits in (right, partner)]
    xs = np.arange(last + 2) * _BIN_SECONDS
    return xs, np.append(shares[0], shares[0][-1]), np.append(shares[1], shares[1][-1])


def tsne_maps(embeddings: PairEmbeddings) -> str | None:
    """Figure 6 of the STEP paper: t-SNE of a pair's windows, before and after the head.

    None for fewer windows than t-SNE can lay out.
    """
    from sklearn.manifold import TSNE

    count = len(embeddings.labels)
    if count < 8:
        return None
    is_first = np.array([label == embeddings.pair[0] for label in embeddings.labels])
    with svg.figure(6.4, 3.1) as figure:
        for axes, title, rows in zip(
            figure.subplots(1, 2),
            ("before the head: mean of tokens", "after the head: what STEP pools"),
            (embeddings.before, embeddings.after),
            strict=True,
        ):
            perplexity = min(30.0, (count - 1) / 3)
            placed = TSNE(perplexity=perplexity, init="pca", random_state=0).fit_transform(np.stack(rows))
            for chosen, colour, marker, label in (
                (is_first, svg.RIGHT, "o", embeddings.pair[0]),
                (~is_first, svg.PARTNER, "^", embeddings.pair[1]),
            ):
                axes.scatter(
                    *placed[chosen].T, s=14, c=colour, marker=marker, alpha=0.75, lw=0, label=words(label)
                )
            axes.set_title(title, fontsize=9)
            axes.set_xticks([])
            axes.set_yticks([])
            axes.spines[["left", "bottom"]].set_visible(False)
        handles, names = axes.get_legend_handles_labels()
        figure.legend(handles, names, loc="outside lower center", ncols=2)
        pair = " and ".join(map(words, embeddings.pair))
        return svg.to_svg(figure, f"t-SNE of {count} windows of {pair}, before and after the head")
