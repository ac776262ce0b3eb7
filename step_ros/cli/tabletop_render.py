"""The data set of the tabletop demo: `step-ros tabletop-render`."""

from __future__ import annotations

from pathlib import Path

from rich.console import Console


def tabletop_render(
    out: Path,
    stills: int = 12_000,
    train: int = 640,
    validation: int = 60,
    test: int = 120,
    workers: int = 2,
    seed: int = 0,
) -> None:
    """Render stills for the backbone and labelled films for the heads.

    Args:
        out: folder for stills, videos and clips.csv.
        stills: worlds to take stills of.
        train: films in the train split.
        validation: films in the validation split.
        test: films in the test split.
        workers: processes.
        seed: of everything random.
    """
    from step_ros.tabletop.dataset import render_films, render_stills

    counts = {"train": train, "validation": validation, "test": test}
    Console().print(render_films(out, counts, workers=workers, seed=seed))
    Console().print(render_stills(out, stills, workers=workers, seed=seed))
