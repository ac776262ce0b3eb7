"""Reads a folder of videos a class: `ROOT/CLASS/*.mp4`, or `ROOT/SPLIT/CLASS/*.mp4`."""

from __future__ import annotations

import os
from collections import Counter
from pathlib import Path

from step_ros.frames.video import is_video
from step_ros.training.datasets.labelled_clips import (
    SPLIT_NAMES,
    ClipsError,
    ClipSet,
    LabelledClip,
    task_found,
)

TASK = "action"
VIDEO_SUFFIXES = (".avi", ".m4v", ".mkv", ".mov", ".mp4", ".mpeg", ".mpg", ".webm")
"""Of files that are taken for videos unseen; what they hold is found out when they are read."""


def read_class_folders(root: Path) -> ClipSet:
    """Every video below `root`, labelled by its folder; the one task is called "action".

    Raises:
        ClipsError: there are no videos two or three levels below `root`.
    """
    clips = []
    others: Counter[str] = Counter()
    problems = []
    for video in video_files(root, others):
        *above, label, _ = video.relative_to(root).parts if video.parent != root else ("", "")
        split = SPLIT_NAMES.get(above[-1].lower(), "") if above else ""
        if label and (not above or (len(above) == 1 and split)):
            clips.append(LabelledClip(video, {TASK: label}, split=split, where=str(video.relative_to(root))))
        else:
            problems.append(f"{video.relative_to(root)}: lies in no CLASS/ or SPLIT/CLASS/ folder")
    if not clips:
        raise ClipsError(f"{root} has no videos in CLASS/ or SPLIT/CLASS/ folders (train, validation, test)")
    if others:
        named = ", ".join(f"{count} {suffix or 'without a suffix'}" for suffix, count in others.most_common())
        problems.append(f"{root}: files that hold no video ({named})")
    return ClipSet(root, clips, {TASK: task_found(clips, TASK)}, problems)


def video_files(root: Path, others: Counter[str] | None = None) -> list[Path]:
    """All videos below a folder, in linked folders too and not in hidden ones; a folder only once.

    Args:
        root: the folder.
        others: takes down the suffixes of files that hold no video.
    """
    found = []
    seen: set[str] = set()
    for folder, below, files in os.walk(root, followlinks=True):
        place = os.path.realpath(folder)
        if place in seen:  # a link back
            below.clear()
            continue
        seen.add(place)
        below[:] = sorted(name for name in below if not name.startswith("."))
        for path in (Path(folder, name) for name in sorted(files) if not name.startswith(".")):
            if path.is_file() and (path.suffix.lower() in VIDEO_SUFFIXES or is_video(path)):
                found.append(path)
            elif others is not None:
                others[path.suffix.lower()] += 1
    return sorted(found)
