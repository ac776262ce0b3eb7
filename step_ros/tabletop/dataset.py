"""Renders a data set of scenes: videos, ground-truth segments, and dense targets to train the backbone on.

On disk, like any set of clips: `clips.csv` (video, start, end, split, and one column a task; times in seconds,
videos relative to the csv) with `clips.yaml`, `videos/*.mp4`, and `dense/*.npz` beside each video of the training split.
"""

from __future__ import annotations

import csv
import multiprocessing
from dataclasses import asdict, dataclass
from pathlib import Path

import cv2
import numpy as np
import yaml
from numpy.typing import NDArray
from rich.progress import track

from step_ros.tabletop.appearance import SPLITS, Appearance
from step_ros.tabletop.labels import IDLE, TASKS, task_labels, task_pairs
from step_ros.tabletop.render import SceneRenderer
from step_ros.tabletop.scene import Scene

FRAMES_PER_SECOND = 10
CSV_COLUMNS = ("video", "start", "end", "split", *TASKS)


@dataclass(frozen=True)
class SceneRequest:
    """One scene to render: its place in the set fixes everything random about it."""

    root: Path
    split: str
    index: int
    seconds: float
    dense: bool
    seed: int

    @property
    def name(self) -> str:
        """File stem of the scene's video."""
        return f"{self.split}_{self.index:05d}"


def render_dataset(
    root: Path,
    scenes: dict[str, int],
    *,
    seconds: float = 9.0,
    dense: tuple[str, ...] = ("train",),
    seed: int = 0,
    workers: int = 2,
) -> Path:
    """Render `scenes` (split to number of scenes) under `root`; a scene that is there already is kept.

    Returns:
        Path of `clips.csv`.

    Raises:
        ValueError: unknown split.
    """
    for split in scenes:
        if split not in SPLITS:
            raise ValueError(f"split is {split!r}; expected one of {', '.join(SPLITS)}")
    (root / "videos").mkdir(parents=True, exist_ok=True)
    (root / "dense").mkdir(exist_ok=True)
    requests = [
        SceneRequest(root, split, index, seconds, split in dense, seed)
        for split, count in scenes.items()
        for index in range(count)
    ]
    # A fresh interpreter a worker: an OpenGL context does not survive a fork.
    with multiprocessing.get_context("spawn").Pool(workers, maxtasksperchild=50) as pool:
        rows = [
            row
            for rows in track(pool.imap(render_scene, requests), "Rendering scenes", total=len(requests))
            for row in rows
        ]
    path = root / "clips.csv"
    with path.open("w", newline="") as file:
        writer = csv.DictWriter(file, CSV_COLUMNS)
        writer.writeheader()
        writer.writerows(rows)
    tasks = {
        task: {"labels": task_labels(task), "symmetric_pairs": [list(p) for p in task_pairs(task)], "idle": IDLE}
        for task in TASKS
    }
    path.with_suffix(".yaml").write_text(yaml.safe_dump(tasks, sort_keys=False))
    return path


def render_scene(request: SceneRequest) -> list[dict[str, str]]:
    """Render one scene's video (and dense targets); returns its rows of `clips.csv`."""
    rng = np.random.default_rng([request.seed, SPLITS.index(request.split), request.index])
    scene = Scene(rng, request.seconds, pace=float(rng.uniform(0.9, 1.35)))
    appearance = Appearance(rng, request.split)
    video = request.root / "videos" / f"{request.name}.mp4"
    if not video.exists():
        times = np.arange(0, scene.seconds, 1 / FRAMES_PER_SECOND)
        with SceneRenderer(scene, appearance) as renderer:
            if request.dense:
                targets = [asdict(renderer.targets(t)) for t in times]
                columns = {key: np.stack([target[key] for target in targets]) for key in targets[0]}
                np.savez_compressed(request.root / "dense" / f"{request.name}.npz", **columns)
            write_video(video, [renderer.frame(t) for t in times], FRAMES_PER_SECOND)  # last: it marks the scene done
    return [
        {
            "video": f"videos/{video.name}",
            "start": f"{segment.start:.3f}",
            "end": f"{segment.end:.3f}",
            "split": request.split,
            **segment.labels,
        }
        for segment in scene.segments
    ]


def write_video(path: Path, frames: list[NDArray[np.uint8]], rate: float) -> None:
    """Write RGB frames (H, W, 3) as MPEG-4; the file appears only when it is whole.

    Raises:
        OSError: OpenCV cannot write there.
    """
    height, width = frames[0].shape[:2]
    partial = path.with_suffix(".partial.mp4")
    writer = cv2.VideoWriter(str(partial), cv2.VideoWriter.fourcc(*"mp4v"), rate, (width, height))
    if not writer.isOpened():
        raise OSError(f"cannot write a video to {partial}")
    for frame in frames:
        writer.write(cv2.cvtColor(frame, cv2.COLOR_RGB2BGR))
    writer.release()
    partial.rename(path)
