"""The backbone of the tabletop demo: `step-ros tabletop-pretrain`."""

from __future__ import annotations

from pathlib import Path


def tabletop_pretrain(
    data: Path, out: Path, epochs: float = 7.0, batch_size: int = 32, seed: int = 0
) -> None:
    """Train the tabletop's small backbone on single frames.

    Args:
        data: a folder that `step-ros tabletop-render` made.
        out: folder of the backbone.
        epochs: passes over the frames.
        batch_size: frames a step.
        seed: of everything random.
    """
    from step_ros.tabletop.pretrain import pretrain

    pretrain(data, out, epochs=epochs, batch_size=batch_size, seed=seed)
