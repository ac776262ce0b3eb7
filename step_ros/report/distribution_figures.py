"""How far confidence can be believed, and how late labels are."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from step_ros.report import svg
from step_ros.report.scored import Scored, words
from step_ros.scores.live import LiveScores
from step_ros.scores.probabilities import CALIBRATION_BINS, confidence_bins
from step_ros.scores.score import described


def reliability_diagram(scored: Scored, error: float | None) -> str:
    """Accuracy of the updates in each bin of confidence, over how many there are in each."""
    edges = np.linspace(0, 1, CALIBRATION_BINS + 1)
    bins = np.minimum(
        confidence_bins(scored.confidence), CALIBRATION_BINS - 1
    )  # a confidence of 1 in the last
    right = scored.true == scored.said
    counts = np.bincount(bins, minlength=CALIBRATION_BINS)
    accuracy = np.bincount(bins, weights=right, minlength=CALIBRATION_BINS) / np.maximum(counts, 1)
    width = edges[1] - edges[0]
    with svg.figure(3.6, 4.0) as figure:
        upper, lower = figure.subplots(2, 1, sharex=True, height_ratios=(3, 1))
        upper.plot([0, 1], [0, 1], color=svg.MUTED, lw=1, ls="--")
        filled = counts > 0
        upper.bar(edges[:-1][filled], accuracy[filled], width * 0.92, align="edge", color=svg.RIGHT)
        upper.set_ylim(0, 1)
        upper.set_xlim(0, 1)
        upper.set_ylabel("share that is right")
        upper.set_title(words(scored.task))
        lower.bar(edges[:-1], counts, width * 0.92, align="edge", color=svg.OTHER)
        lower.set_ylabel("updates")
        lower.set_xlabel("confidence")
        about = described(LiveScores)["calibration_error"]
        found = f"{about.title} {about.text_with_unit(error)}"
        return svg.to_svg(figure, f"Reliability diagram of {words(scored.task)}: {found}")


def latency_histogram(latency_ms: Sequence[float], compute_ms: Sequence[float] | None) -> str:
    """What passes from an image to its label: waiting for the next grid time, and computing.

    Args:
        latency_ms: from image to label, of each update.
        compute_ms: how much of it was computing; None where nobody knows.
    """
    total = np.array(latency_ms)
    limit = float(np.percentile(total, 99.5)) * 1.1 if len(total) else 1.0
    with svg.figure(7.2, 2.6) as figure:
        axes = figure.subplots()
        bins: list[float] = np.linspace(0, max(limit, 1e-3), 60).tolist()
        if compute_ms is not None:
            axes.hist(compute_ms, bins=bins, color=svg.RIGHT, label="computing, on this machine")
        axes.hist(
            total, bins=bins, histtype="step", lw=1.6, ec=svg.PARTNER, label="image to label, with waiting"
        )
        axes.set_xlabel("milliseconds")
        axes.set_ylabel("updates")
        axes.legend()
        median = float(np.median(total)) if len(total) else 0.0
        return svg.to_svg(figure, f"Latency: median {median:.0f} ms from an image to its label")
