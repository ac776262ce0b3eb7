"""Reads a folder of videos a class: `ROOT/CLASS/*.mp4`, or `ROOT/SPLIT/CLASS/*.mp4`."""

from __future__ import annotations

from pathlib import Path

from step_ros.training.datasets.labelled_clips import (
    SPLIT_NAMES,
    ClipsError,
    ClipSet,
    LabelledClip,
    task_found,
)

TASK = "action"
VIDEO_SUFFIXES = (".avi", ".m4v", ".mkv", ".mov", ".mp4", ".mpeg", ".mpg", ".webm")


def read_class_folders(root: Path) -> ClipSet:
    """Every video below `root`, labelled by its folder; the one task is called "action".

    Raises:
        ClipsError: there are no videos two or three levels below `root`.
    """
    clips = []
    for video in sorted(video_files(root)):
        *above, label, _ = video.relative_to(root).parts if video.parent != root else ("", "")
        split = SPLIT_NAMES.get(above[-1].lower(), "") if above else ""
        if label and (not above or (len(above) == 1 and split)):
            clips.append(LabelledClip(video, {TASK: label}, split=split, where=str(video.relative_to(root))))
    if not clips:
        raise ClipsError(f"{root} has no videos in CLASS/ or SPLIT/CLASS/ folders (train, validation, test)")
    return ClipSet(root, clips, {TASK: task_found(clips, TASK)})


def video_files(root: Path) -> list[Path]:
    """All video files below a folder, by their suffix."""
    return [path for path in root.rglob("*") if path.suffix.lower() in VIDEO_SUFFIXES and path.is_file()]
