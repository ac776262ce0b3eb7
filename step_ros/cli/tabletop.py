"""Commands that make what the tabletop demo stands on: its data set, its backbone and its bag."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

from rich.console import Console


def render(
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


def pretrain(data: Path, out: Path, epochs: float = 7.0, batch_size: int = 32, seed: int = 0) -> None:
    """Train the tabletop's small backbone on single frames.

    Args:
        data: a folder that `step-ros tabletop-render` made.
        out: folder of the backbone.
        epochs: passes over the frames.
        batch_size: frames a step.
        seed: of everything random.
    """
    from step_ros.tabletop.pretrain import pretrain as pretrain_backbone

    pretrain_backbone(data, out, epochs=epochs, batch_size=batch_size, seed=seed)


def bag(out: Path, seconds: float = 30.0, seed: int = 0, split: str = "test") -> None:
    """Render one scene into an mcap bag with JPEG images and ground truth.

    Args:
        out: folder of the bag; must not exist.
        seconds: least duration.
        seed: of everything random.
        split: whose looks the scene has.
    """
    from step_ros.tabletop.bag import write_scene_bag

    scene = write_scene_bag(out, seconds=seconds, seed=seed, split=split)
    Console().print(f"{out}: {scene.seconds:.1f} s, {len(scene.segments)} segments")


TABLETOP_COMMANDS: dict[str, Callable[..., Any]] = {
    "tabletop-render": render,
    "tabletop-pretrain": pretrain,
    "tabletop-bag": bag,
}
