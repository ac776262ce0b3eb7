"""From a matplotlib figure to an SVG that is part of a page: its fonts, its colours, light or dark."""

from __future__ import annotations

import io
import re
from collections.abc import Iterator
from contextlib import contextmanager
from html import escape
from itertools import count
from typing import Any

import matplotlib
from matplotlib.figure import Figure

# Colours are drawn as these and replaced by the page's variables, which differ between light and dark.
TEXT = "#010203"
MUTED = "#020304"
LINE = "#030405"
SURFACE = "#040506"
RIGHT = "#050607"
"""What is right, or forwards."""
PARTNER = "#060708"
"""The symmetric partner, or backwards."""
OTHER = "#070809"
"""Anything else."""
_VARIABLES = {
    TEXT: "var(--text)",
    MUTED: "var(--muted)",
    LINE: "var(--line)",
    SURFACE: "var(--surface)",
    RIGHT: "var(--right)",
    PARTNER: "var(--partner)",
    OTHER: "var(--other)",
}

# Any: later versions of matplotlib type every key, earlier ones have no types.
_STYLE: Any = {
    "svg.fonttype": "none",  # text stays text: searchable, readable aloud, in the page's font
    "text.parse_math": False,  # a label is no formula, however many dollars are in it
    "svg.hashsalt": "step_ros",  # the same figure is the same file
    "font.size": 10,
    "axes.edgecolor": LINE,
    "axes.labelcolor": TEXT,
    "axes.titlesize": 11,
    "axes.titlecolor": TEXT,
    "axes.facecolor": "none",
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.grid": False,
    "grid.color": LINE,
    "grid.linewidth": 0.6,
    "xtick.color": LINE,
    "ytick.color": LINE,
    "xtick.labelcolor": MUTED,
    "ytick.labelcolor": MUTED,
    "text.color": TEXT,
    "legend.frameon": False,
    "legend.labelcolor": TEXT,
    "figure.facecolor": "none",
}

_numbers = count(1)


@contextmanager
def figure(width: float, height: float) -> Iterator[Figure]:
    """A figure to draw on, in inches of 72 CSS points; style and colours are the page's."""
    with matplotlib.rc_context(_STYLE):
        yield Figure(figsize=(width, height), layout="constrained")


def to_svg(drawn: Figure, description: str) -> str:
    """The figure as an ``<svg>`` element.

    Args:
        drawn: what `figure` gave; colours are those of this module, or any that suit light and dark.
        description: what it shows, for who cannot see it.
    """
    file = io.StringIO()
    with matplotlib.rc_context(_STYLE):
        drawn.savefig(file, format="svg", transparent=True, metadata={"Date": None, "Creator": None})
    svg = file.getvalue()
    svg = svg[svg.index("<svg") :]
    svg = re.sub(r"<metadata>.*?</metadata>", "", svg, flags=re.DOTALL)
    for colour, variable in _VARIABLES.items():
        svg = svg.replace(colour, variable)
    # Several figures share a page, so each has ids of its own.
    prefix = f"f{next(_numbers)}-"
    svg = re.sub(r'\bid="', f'id="{prefix}', svg)
    svg = re.sub(r'(href="|url\()#', rf"\g<1>#{prefix}", svg)
    # The page decides about the family; "font: 10px 'DejaVu Sans', ..." keeps its size.
    svg = re.sub(r"font: ((?:[a-z0-9]+ )?[0-9.]+px) [^;\"]*", r"font: \1 var(--font)", svg)
    head, rest = svg.split(">", 1)
    size = re.search(r'width="([0-9.]+)pt"', head)
    head = re.sub(r' (?:width|height)="[^"]*"', "", head)
    width = f' style="width: {float(size[1]):.0f}pt"' if size else ""
    return f'{head} role="img" aria-label="{escape(description)}"{width}>{rest}'
