"""Which data set is it? One entrance to all adapters."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from step_ros.training.datasets.class_folders import read_class_folders
from step_ros.training.datasets.clips_csv import read_clips_csv
from step_ros.training.datasets.drive_and_act import OBJECTLEVEL, read_drive_and_act
from step_ros.training.datasets.hri30 import read_hri30
from step_ros.training.datasets.ikea_asm import read_ikea_asm
from step_ros.training.datasets.labelled_bag import is_bag, read_labelled_bag
from step_ros.training.datasets.labelled_clips import ClipsError, ClipSet, check_clips, usable
from step_ros.training.datasets.something_something import read_something_something

_READERS: Mapping[str, Callable[[Path], ClipSet]] = {
    "class_folders": read_class_folders,
    "bag": read_labelled_bag,
    "hri30": read_hri30,
    "ikea_asm": read_ikea_asm,
    "something_something": read_something_something,
    "drive_and_act": read_drive_and_act,
    "drive_and_act_objects": lambda root: read_drive_and_act(root, level=OBJECTLEVEL),
}
DATASETS = ("auto", "csv", *_READERS)
"""Names of the adapters; "auto" looks at what is there."""


def read_dataset(
    path: Path,
    kind: str = "auto",
    *,
    tasks: Sequence[str] = (),
    group: str | None = None,
    overlaps: bool = False,
) -> ClipSet:
    """Read labelled clips, whatever form they have, and leave out what cannot be used, by name.

    Args:
        path: a csv of clips, a bag, or a data set's folder.
        kind: one of `DATASETS`.
        tasks: which to keep; all by default.
        group: for a csv, the column of what must not be on both sides of a split.
        overlaps: whether clips of a video may share time: where none is seen in another's window.

    Raises:
        ClipsError: nothing of it can be used; the message says why.
    """
    if kind not in DATASETS:
        raise ClipsError(f"unknown data set {kind!r}; known are {', '.join(DATASETS)}")
    if not path.exists():
        raise ClipsError(f"there is no {path}")
    kind = _recognise(path) if kind == "auto" else kind
    if kind == "csv":
        return usable(check_clips(read_clips_csv(path, tasks=tasks, group=group), overlaps=overlaps))
    if group:
        raise ClipsError(f"a group is a column of a csv, but {path} is read as {kind}")
    clip_set = check_clips(_READERS[kind](path), overlaps=overlaps)
    unknown = [task for task in tasks if task not in clip_set.tasks]
    if unknown:
        raise ClipsError(f"{path} has no task {', '.join(unknown)}; it has {', '.join(clip_set.tasks)}")
    if tasks:
        clip_set.tasks = {task: clip_set.tasks[task] for task in tasks}
    return usable(clip_set)


def _recognise(path: Path) -> str:
    if is_bag(path):
        return "bag"
    if path.is_file():
        return "csv"
    marks = {
        "ikea_asm": "gt_segments.json",
        "drive_and_act": "midlevel.chunks_90.split_*.csv",
        "drive_and_act_objects": "objectlevel.chunks_90.split_*.csv",
        "something_something": "something-something-v2-*.json",
        "hri30": "CID*_SID*_VID*.*",
    }
    return next((kind for kind, mark in marks.items() if any(path.rglob(mark))), "class_folders")
