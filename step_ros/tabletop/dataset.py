"""Renders the tabletop's data: films with ground truth for the heads, stills for the backbone.

On disk, like any set of clips: `clips.csv` (video, start, end, split, and one column a task; times in
seconds, videos relative to the csv) with `clips.yaml`, and `videos/*.mp4`. Beside them `stills/*.npz`, a few
instants of each of many more worlds with their dense targets. No still is from a film: the heads learn from
tokens of worlds that the backbone has never seen, as they will meet them.
"""

from __future__ import annotations

import csv
import multiprocessing
import signal
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, TypeVar

import cv2
import numpy as np
import yaml
from numpy.typing import NDArray
from rich.progress import track

from step_ros.atomic_files import new_file, write_text
from step_ros.tabletop.appearance import SPLITS, Appearance
from step_ros.tabletop.labels import IDLE, TASKS, task_labels, task_pairs
from step_ros.tabletop.render import SceneRenderer
from step_ros.tabletop.scene import Scene

FRAMES_PER_SECOND = 32 / 3  # one frame a step of a window of 16 frames over 1.5 s
STILLS_A_WORLD = 6
STILL_SIZE = 144  # pixels: a little larger than the backbone sees them, for crops
FILM, STILL = 0, 1
CSV_COLUMNS = ("video", "start", "end", "split", *TASKS)


Result = TypeVar("Result")


@dataclass(frozen=True)
class WorldRequest:
    """One world to render: its place in the set fixes everything random about it."""

    root: Path
    split: str
    index: int
    seed: int
    seconds: float

    def world(self, kind: int) -> tuple[Scene, Appearance]:
        """What happens in it and how it looks; a film and a still of one index have nothing in common."""
        rng = np.random.default_rng([self.seed, SPLITS.index(self.split), self.index, kind])
        scene = Scene(rng, self.seconds, pace=float(rng.uniform(0.9, 1.35)))
        return scene, Appearance(rng, self.split)


def render_films(
    root: Path, scenes: dict[str, int], *, seconds: float = 9.0, seed: int = 0, workers: int = 2
) -> Path:
    """Render `scenes` (split to number of scenes) as videos under `root`; one that is there already is kept.

    Returns:
        Path of `clips.csv`.

    Raises:
        ValueError: unknown split, or a number of films below 0.
    """
    for split in scenes:
        if split not in SPLITS:
            raise ValueError(f"split is {split!r}; expected one of {', '.join(SPLITS)}")
        if scenes[split] < 0:
            raise ValueError(f"there are to be {scenes[split]} films of {split}; expected 0 or more")
    (root / "videos").mkdir(parents=True, exist_ok=True)
    requests = [
        WorldRequest(root, split, index, seed, seconds)
        for split, count in scenes.items()
        for index in range(count)
    ]
    rows = [row for rows in _in_parallel(_render_film, requests, workers, "Rendering films") for row in rows]
    path = root / "clips.csv"
    with new_file(path) as draft, draft.open("w", newline="") as file:
        writer = csv.DictWriter(file, CSV_COLUMNS)
        writer.writeheader()
        writer.writerows(rows)
    tasks = {
        task: {
            "labels": task_labels(task),
            "symmetric_pairs": [list(p) for p in task_pairs(task)],
            "idle": IDLE,
        }
        for task in TASKS
    }
    write_text(path.with_suffix(".yaml"), yaml.safe_dump(tasks, sort_keys=False))
    return path


def render_stills(root: Path, worlds: int, *, seed: int = 0, workers: int = 2) -> Path:
    """Render `STILLS_A_WORLD` instants of each of `worlds` worlds of the train split, with dense targets.

    Returns:
        The folder they are in; worlds that are there already are kept.
    """
    (root / "stills").mkdir(parents=True, exist_ok=True)
    requests = [WorldRequest(root, "train", index, seed, 6.0) for index in range(worlds)]
    for _ in _in_parallel(_render_stills, requests, workers, "Rendering stills"):
        pass
    return root / "stills"


def _render_film(request: WorldRequest) -> list[dict[str, str]]:
    """Render one scene's video; returns its rows of `clips.csv`."""
    scene, appearance = request.world(FILM)
    video = request.root / "videos" / f"{request.split}_{request.index:05d}.mp4"
    if not video.exists():
        with SceneRenderer(scene, appearance) as renderer:
            times = np.arange(0, scene.seconds, 1 / FRAMES_PER_SECOND)
            _write_mpeg4(video, [renderer.frame(t) for t in times], FRAMES_PER_SECOND)
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


def _render_stills(request: WorldRequest) -> None:
    scene, appearance = request.world(STILL)
    path = request.root / "stills" / f"{request.index:05d}.npz"
    if path.exists():
        return
    rng = appearance.rng
    times = np.sort(rng.uniform(0, scene.seconds, STILLS_A_WORLD))
    with SceneRenderer(scene, appearance) as renderer:
        targets = [asdict(renderer.targets(t)) for t in times]
        columns: dict[str, Any] = {key: np.stack([target[key] for target in targets]) for key in targets[0]}
        columns["images"] = np.stack([_still(renderer.frame(t), int(rng.integers(25, 96))) for t in times])
    with new_file(path) as draft:
        np.savez_compressed(draft, **columns)


def _still(frame: NDArray[np.uint8], quality: int) -> NDArray[np.uint8]:
    """An RGB frame as a camera's JPEG of that quality shows it, made square: (STILL_SIZE, STILL_SIZE, 3)."""
    _, jpeg = cv2.imencode(".jpg", frame, [cv2.IMWRITE_JPEG_QUALITY, quality])
    decoded = np.asarray(cv2.imdecode(jpeg, cv2.IMREAD_COLOR), np.uint8)
    return np.asarray(cv2.resize(decoded, (STILL_SIZE, STILL_SIZE), interpolation=cv2.INTER_AREA), np.uint8)


def _in_parallel(
    render: Callable[[WorldRequest], Result], requests: list[WorldRequest], workers: int, what: str
) -> Iterator[Result]:
    # Ctrl-C is for this process, which ends the others: they inherit that it is kept from them.
    signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
    # A fresh interpreter a worker: an OpenGL context does not survive a fork.
    with multiprocessing.get_context("spawn").Pool(workers, maxtasksperchild=200) as pool:
        signal.pthread_sigmask(signal.SIG_UNBLOCK, {signal.SIGINT})
        yield from track(pool.imap(render, requests), what, total=len(requests))


def _write_mpeg4(path: Path, frames: list[NDArray[np.uint8]], rate: float) -> None:
    """Write RGB frames (H, W, 3) as MPEG-4; the file appears only when it is whole.

    Raises:
        OSError: OpenCV cannot write there.
    """
    height, width = frames[0].shape[:2]
    with new_file(path) as draft:
        writer = cv2.VideoWriter(str(draft), cv2.VideoWriter.fourcc(*"mp4v"), rate, (width, height))
        if not writer.isOpened():
            raise OSError(f"cannot write a video to {draft}")
        for frame in frames:
            writer.write(cv2.cvtColor(frame, cv2.COLOR_RGB2BGR))
        writer.release()
