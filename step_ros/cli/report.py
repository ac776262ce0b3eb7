"""A replay as a page: `step-ros report`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import tyro
from rich.console import Console
from rich.progress import Progress

from step_ros.cli.warnings_shown import warnings_shown


def report(
    run: Annotated[Path, tyro.conf.Positional],
    bag: Path | None = None,
    pairs: tuple[tuple[str, str], ...] = (),
) -> None:
    """Write one HTML page about a replay, which needs nothing else: RUN/report.html.

    The recording is read once more, for the film, the attention maps and t-SNE; where it is not to be found,
    the page has the rest.

    Args:
        run: the folder that `step-ros replay` wrote.
        bag: the recording, if it has moved.
        pairs: nearly symmetric pairs to look at closely, two labels each; by default the three that were
            seen longest.
    """
    from step_ros.report.report import write_report

    console = Console(stderr=True)
    with warnings_shown(console), Progress(console=console) as progress:
        bar = progress.add_task("", total=1.0)
        path = write_report(
            run,
            bag=bag,
            pairs=pairs,
            on_progress=lambda what, share: progress.update(bar, description=what, completed=share),
        )
    Console().print(f"{path} ({path.stat().st_size / 1e6:.1f} MB)", highlight=False)
