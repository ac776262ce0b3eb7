"""A recording of the tabletop demo: `step-ros tabletop-bag`."""

from __future__ import annotations

from pathlib import Path

from rich.console import Console


def tabletop_bag(out: Path, seconds: float = 30.0, seed: int = 0, split: str = "test") -> None:
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
