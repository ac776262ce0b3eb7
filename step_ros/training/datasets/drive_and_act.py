"""Reads Drive&Act (Martin et al., ICCV 2019): 34 mid-level activities in a car, and what they are made of.

On disk, as it is handed out: `midlevel.chunks_90.split_K.{train,val,test}.csv`, a chunk of at most three
seconds a line, with frames of a video (`vp5/run1_….kinect_color.mp4`); and
`objectlevel.chunks_90.split_K.….csv`, whose columns action, object and location are three tasks.
"""

from __future__ import annotations

from dataclasses import replace
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
    task_found,
)

CLASSES = tuple(
    name.strip()
    for name in """
    closing_bottle, closing_door_inside, closing_door_outside, closing_laptop, drinking, eating,
    entering_car, exiting_car, fastening_seat_belt, fetching_an_object, interacting_with_phone,
    looking_or_moving_around (e.g. searching), opening_backpack, opening_bottle, opening_door_inside,
    opening_door_outside, opening_laptop, placing_an_object, preparing_food, pressing_automation_button,
    putting_laptop_into_backpack, putting_on_jacket, putting_on_sunglasses, reading_magazine,
    reading_newspaper, sitting_still, taking_laptop_from_backpack, taking_off_jacket, taking_off_sunglasses,
    talking_on_phone, unfastening_seat_belt, using_multimedia_display, working_on_laptop, writing
    """.split(",")
)
"""Mid-level activities."""

SYMMETRIC_PAIRS = [
    ("opening_bottle", "closing_bottle"),
    ("opening_door_inside", "closing_door_inside"),
    ("opening_door_outside", "closing_door_outside"),
    ("opening_laptop", "closing_laptop"),
    ("entering_car", "exiting_car"),
    ("fastening_seat_belt", "unfastening_seat_belt"),
    ("fetching_an_object", "placing_an_object"),
    ("taking_laptop_from_backpack", "putting_laptop_into_backpack"),
    ("putting_on_jacket", "taking_off_jacket"),
    ("putting_on_sunglasses", "taking_off_sunglasses"),
]
"""The 20 nearly symmetric classes of the STEP paper's table III; 14 others."""

MIDLEVEL, OBJECTLEVEL = "midlevel", "objectlevel"
_TASK = "activity"
_COLUMNS = ("participant_id", "file_id", "annotation_id", "frame_start", "frame_end", "chunk_id")
_SUBSETS = ("train", "val", "test")


def read_drive_and_act(
    root: Path, *, annotations: Path | None = None, split: int = 0, level: str = MIDLEVEL, whole: bool = False
) -> ClipSet:
    """Read one official split of Drive&Act.

    Args:
        root: folder with the videos below it.
        annotations: folder with the csv files; by default somewhere below `root`.
        split: 0, 1 or 2.
        level: "midlevel" (one task, activity) or "objectlevel" (tasks action, object and location).
        whole: a clip is a whole annotation, not one of its chunks of three seconds.

    Raises:
        ClipsError: the csv files are missing or not of the official form, or no video of theirs is there.
    """
    videos = {f"{video.parent.name}/{video.stem}": video for video in video_files(root)}
    clips: list[LabelledClip] = []
    problems: list[str] = []
    notes: list[str] = []
    for subset in _SUBSETS:
        name = f"{level}.chunks_90.split_{split}.{subset}.csv"
        found = sorted((annotations or root).rglob(name))
        if len(found) > 1:
            raise ClipsError(
                f"{name} is there {len(found)} times: {', '.join(map(str, found))}; choose one folder"
            )
        for path in found:
            clips += _read(path, SPLIT_NAMES[subset], videos, root, problems, notes)
    if not clips:
        raise ClipsError.of(
            f"{annotations or root} has no {level}.chunks_90.split_{split} with videos", problems
        )
    clips = _whole_annotations(clips) if whole else clips
    if level == MIDLEVEL:
        tasks = {_TASK: TaskLabels(list(CLASSES), SYMMETRIC_PAIRS)}
    else:
        tasks = {task: task_found(clips, task) for task in clips[0].labels}
    return known_classes_only(ClipSet(root, clips, tasks, problems, notes))


def _read(
    path: Path, split: str, videos: dict[str, Path], root: Path, problems: list[str], notes: list[str]
) -> list[LabelledClip]:
    try:
        table = read_segments_csv(path)
    except SegmentsCsvError as error:
        raise ClipsError(str(error)) from error
    notes += table.notes
    missing = [name for name in _COLUMNS if name not in table.columns]
    if missing:
        raise ClipsError(f"{path}:1: columns are {table.columns}; {', '.join(missing)} is missing")
    tasks = [name for name in table.columns if name not in _COLUMNS]
    clips = []
    for row in table.rows:
        where, cells = f"{path.name}:{row.line}", row.cells
        try:
            start, end = float(cells["frame_start"]), float(cells["frame_end"])
        except ValueError:
            problems.append(f"{where}: frame_start and frame_end must be numbers, found {cells}")
            continue
        video = videos.get(cells["file_id"], root / f"{cells['file_id']}.mp4")
        labels = {task: cells[task] for task in tasks if cells[task]}
        person = f"vp{cells['participant_id']}"
        clips.append(LabelledClip(video, labels, start, end, split, person, "frames", where))
    return clips


def _whole_annotations(clips: list[LabelledClip]) -> list[LabelledClip]:
    """Put the chunks of an annotation together: one label, each beginning where the last one ends."""
    whole: list[LabelledClip] = []
    for clip in clips:
        last = whole[-1] if whole else None
        if last and (last.video, last.labels, last.end) == (clip.video, clip.labels, clip.start):
            whole[-1] = replace(last, end=clip.end)
        else:
            whole.append(clip)
    return whole
