"""Reads HRI-30 (Iodice et al., ICPR 2022): 30 actions of a person beside an industrial robot.

On disk, as it is handed out: videos `CIDxx_SIDyy_VIDzz.avi` (class, subject, take) in folders for training
and test, and `train_set_labels.csv`, a video and its class a line. A video that no csv names is of the
class that its name says.
"""

from __future__ import annotations

import re
from pathlib import Path

from step_ros.frames.segments_csv import SegmentsCsvError, read_segments_csv
from step_ros.training.datasets.class_folders import video_files
from step_ros.training.datasets.labelled_clips import (
    SPLIT_NAMES,
    ClipsError,
    ClipSet,
    LabelledClip,
    TaskLabels,
    known_classes_only,
)

TASK = "fine_grained_action"

CLASSES = tuple(
    """
    DeliverObject MoveBackwardsWhileDrilling MoveBackwardsWhilePolishing MoveDiagonallyBackwardLeftWithDrill
    MoveDiagonallyBackwardLeftWithPolisher MoveDiagonallyBackwardRightWithDrill
    MoveDiagonallyBackwardRightWithPolisher MoveDiagonallyForwardLeftWithDrill
    MoveDiagonallyForwardLeftWithPolisher MoveDiagonallyForwardRightWithDrill
    MoveDiagonallyForwardRightWithPolisher MoveForwardWhileDrilling MoveForwardWhilePolishing
    MoveLeftWhileDrilling MoveLeftWhilePolishing MoveRightWhileDrilling MoveRightWhilePolishing
    NoCollaborativeWithDrill NoCollaborativeWithPolisher PickUpDrill PickUpPolisher PickUpTheObject
    PutDownDrill PutDownPolisher UsingTheDrill UsingThePolisher Walking WalkingWithObject WalkingWithDrill
    WalkingWithPolisher
    """.split()
)
"""In the order of their numbers, from CID01 on."""

SYMMETRIC_PAIRS = [
    ("PickUpDrill", "PutDownDrill"),
    ("PickUpPolisher", "PutDownPolisher"),
    ("MoveForwardWhileDrilling", "MoveBackwardsWhileDrilling"),
    ("MoveForwardWhilePolishing", "MoveBackwardsWhilePolishing"),
    ("MoveLeftWhileDrilling", "MoveRightWhileDrilling"),
    ("MoveLeftWhilePolishing", "MoveRightWhilePolishing"),
    # The way back from backward-left is forward-right.
    ("MoveDiagonallyForwardRightWithDrill", "MoveDiagonallyBackwardLeftWithDrill"),
    ("MoveDiagonallyForwardRightWithPolisher", "MoveDiagonallyBackwardLeftWithPolisher"),
    ("MoveDiagonallyForwardLeftWithDrill", "MoveDiagonallyBackwardRightWithDrill"),
    ("MoveDiagonallyForwardLeftWithPolisher", "MoveDiagonallyBackwardRightWithPolisher"),
]
"""The 20 nearly symmetric classes of the STEP paper (section IV-A); 10 others."""

_NAME = re.compile(r"CID(\d+)_SID(\d+)_VID(\d+)", re.IGNORECASE)


def read_hri30(root: Path) -> ClipSet:
    """Read HRI-30 from the folder that holds its videos and csv.

    Raises:
        ClipsError: there are no videos of HRI-30 below `root`, or a csv cannot be read.
    """
    problems: list[str] = []
    notes: list[str] = []
    named = _labels_of_csv(root, problems, notes)
    clips = []
    for video in sorted(video_files(root)):
        match = _NAME.fullmatch(video.stem)
        if match is None:
            continue
        number = int(match[1])
        label, where = named.pop(video.stem, ("", str(video.relative_to(root))))
        if not label and 1 <= number <= len(CLASSES):
            label = CLASSES[number - 1]
        split = next((SPLIT_NAMES[part] for part in _parts(video, root) if part in SPLIT_NAMES), "")
        labels = {TASK: label or f"CID{match[1]}"}
        clips.append(LabelledClip(video, labels, split=split, group=f"SID{match[2]}", where=where))
    if not clips:
        raise ClipsError(f"{root} has no videos named CIDxx_SIDyy_VIDzz, as those of HRI-30 are")
    problems += [f"{where}: there is no video {stem}" for stem, (_, where) in named.items()]
    tasks = {TASK: TaskLabels(list(CLASSES), SYMMETRIC_PAIRS)}
    return known_classes_only(ClipSet(root, clips, tasks, problems, notes))


def _labels_of_csv(root: Path, problems: list[str], notes: list[str]) -> dict[str, tuple[str, str]]:
    """Of each video's stem, its class and where a csv says so."""
    found: dict[str, tuple[str, str]] = {}
    for path in sorted(root.rglob("*labels*.csv")):
        try:
            table = read_segments_csv(path, header=("video", "class"))
        except SegmentsCsvError as error:
            raise ClipsError(str(error)) from error
        notes += table.notes
        for row in table.rows:
            where, (video, label) = f"{path.relative_to(root)}:{row.line}", row.cells.values()
            if label and _NAME.fullmatch(Path(video).stem):
                if label.isdigit() and 1 <= int(label) <= len(CLASSES):
                    label = CLASSES[int(label) - 1]
                found[Path(video).stem] = (label, where)
            elif row.line > 1:  # a header is no problem
                problems.append(f"{where}: expected a video and its class, found {video!r}, {label!r}")
    return found


def _parts(video: Path, root: Path) -> list[str]:
    """Words in the names of the folders above a video: train_set gives train and set."""
    return [word for part in video.relative_to(root).parts[:-1] for word in part.lower().split("_")]
