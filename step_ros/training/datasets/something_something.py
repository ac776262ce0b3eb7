"""Reads Something-Something v2 (Goyal et al., ICCV 2017): 174 actions with everyday things.

On disk, as it is handed out: `something-something-v2-{train,validation}.json` (or `train.json`,
`validation.json` in `labels/`), and videos `ID.webm`. The test part has no labels, so the validation part
is what is tested on.
"""

from __future__ import annotations

import json
from pathlib import Path

from step_ros.training.datasets.class_folders import video_files
from step_ros.training.datasets.labelled_clips import ClipsError, ClipSet, LabelledClip, task_found

TASK = "action"
_PARTS = {"train": "train", "validation": "test"}


def read_something_something(root: Path) -> ClipSet:
    """Read the data set; a class is a template without its brackets, such as "Opening something".

    Raises:
        ClipsError: the json files are missing or not of the official form, or none of their videos is there.
    """
    videos = {video.stem: video for video in video_files(root)}
    clips: list[LabelledClip] = []
    problems: list[str] = []
    for part, split in _PARTS.items():
        path = _json_of(root, part)
        if path is None:
            problems.append(f"{root}: there is no something-something-v2-{part}.json")
            continue
        try:
            entries = [(str(entry["id"]), str(entry["template"])) for entry in json.loads(path.read_text())]
        except (OSError, ValueError, KeyError, TypeError) as error:
            raise ClipsError(f"{path} cannot be read as Something-Something's labels: {error!r}") from error
        for number, (name, template) in enumerate(entries):
            where = f"{path.name}[{number}]"
            if name not in videos:
                problems.append(f"{where}: there is no video {name}")
                continue
            label = template.replace("[", "").replace("]", "")
            clips.append(LabelledClip(videos[name], {TASK: label}, split=split, where=where))
    if not clips:
        raise ClipsError.of(f"{root} has no labelled videos of Something-Something", problems)
    return ClipSet(root, clips, {TASK: task_found(clips, TASK)}, problems)


def _json_of(root: Path, part: str) -> Path | None:
    names = (f"something-something-v2-{part}.json", f"{part}.json")
    return next((path for name in names for path in sorted(root.rglob(name))), None)
