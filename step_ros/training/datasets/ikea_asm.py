"""Reads IKEA-ASM (Ben-Shabat et al., WACV 2021): 33 atomic actions of furniture assembly.

On disk, as it is handed out: `gt_segments.json` (segments in frames, by furniture and scan),
`train_cross_env.txt` and `test_cross_env.txt`, and videos `FURNITURE/SCAN/dev3/images/scan_video.avi` of
three cameras.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from step_ros.training.datasets.class_folders import video_files
from step_ros.training.datasets.labelled_clips import (
    SPLIT_NAMES,
    ClipsError,
    ClipSet,
    LabelledClip,
    TaskLabels,
    known_classes_only,
)

TASKS = ("fine_grained_action", "atomic_action", "object")

_NOTHING = "none"
CLASSES: Mapping[str, tuple[str, str]] = {
    "NA": ("NA", _NOTHING),
    "align leg screw with table thread": ("align", "leg"),
    "align side panel holes with front panel dowels": ("align", "side panel"),
    "attach drawer back panel": ("attach", "back panel"),
    "attach drawer side panel": ("attach", "side panel"),
    "attach shelf to table": ("attach", "shelf"),
    "flip shelf": ("flip", "shelf"),
    "flip table": ("flip", "table"),
    "flip table top": ("flip", "table top"),
    "insert drawer pin": ("insert", "pin"),
    "lay down back panel": ("lay down", "back panel"),
    "lay down bottom panel": ("lay down", "bottom panel"),
    "lay down front panel": ("lay down", "front panel"),
    "lay down leg": ("lay down", "leg"),
    "lay down shelf": ("lay down", "shelf"),
    "lay down side panel": ("lay down", "side panel"),
    "lay down table top": ("lay down", "table top"),
    "other": ("other", _NOTHING),
    "pick up back panel": ("pick up", "back panel"),
    "pick up bottom panel": ("pick up", "bottom panel"),
    "pick up front panel": ("pick up", "front panel"),
    "pick up leg": ("pick up", "leg"),
    "pick up pin": ("pick up", "pin"),
    "pick up shelf": ("pick up", "shelf"),
    "pick up side panel": ("pick up", "side panel"),
    "pick up table top": ("pick up", "table top"),
    "position the drawer right side up": ("position", "drawer"),
    "push table": ("push", "table"),
    "push table top": ("push", "table top"),
    "rotate table": ("rotate", "table"),
    "slide bottom of drawer": ("slide", "drawer"),
    "spin leg": ("spin", "leg"),
    "tighten leg": ("tighten", "leg"),
}
"""The data set's classes, and of each its verb and object: the three tasks of the STEP paper's table V."""

_PARTS = ("back panel", "bottom panel", "front panel", "leg", "shelf", "side panel", "table top")
SYMMETRIC_PAIRS = [(f"pick up {part}", f"lay down {part}") for part in _PARTS]
"""The 14 nearly symmetric classes of the STEP paper (section IV-A); 19 others."""


def read_ikea_asm(root: Path, *, camera: str = "dev3") -> ClipSet:
    """Read IKEA-ASM from the folder that holds its videos, segments and splits.

    Args:
        root: that folder.
        camera: whose videos: dev1, dev2 or dev3 (from above, as is usual).

    Raises:
        ClipsError: gt_segments.json is missing or not of the official form, or there are no videos.
    """
    path = next(iter(sorted(root.rglob("gt_segments.json"))), root / "gt_segments.json")
    try:
        scans = json.loads(path.read_text(encoding="utf-8"))["database"]
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise ClipsError(f"{path} cannot be read as IKEA-ASM's segments: {error!r}") from error
    videos = _videos(root, camera)
    if not videos:
        raise ClipsError(f"{root} has no videos FURNITURE/SCAN/{camera}/images/*.avi")
    splits = _splits(root)
    clips: list[LabelledClip] = []
    problems: list[str] = []
    for scan, content in sorted(scans.items()):
        video = videos.get(tuple(Path(scan).parts[-2:]))
        if video is None:
            problems.append(f"{path.name}: there is no video of {scan} from {camera}")
            continue
        split = splits.get(scan, SPLIT_NAMES.get(str(content.get("subset", "")).lower(), ""))
        for number, annotation in enumerate(content["annotation"]):
            clip = _clip(annotation, video, split, Path(scan).parts[-1], f"{path.name}: {scan}[{number}]")
            if isinstance(clip, str):
                problems.append(clip)
            else:
                clips.append(clip)
    verbs = sorted({verb for verb, _ in CLASSES.values()})
    tasks = {
        "fine_grained_action": TaskLabels(list(CLASSES), SYMMETRIC_PAIRS),
        "atomic_action": TaskLabels(verbs, [("pick up", "lay down")]),
        "object": TaskLabels(sorted({thing for _, thing in CLASSES.values()})),
    }
    return known_classes_only(ClipSet(root, clips, tasks, problems))


def _clip(
    annotation: Mapping[str, Any], video: Path, split: str, scan: str, where: str
) -> LabelledClip | str:
    """A segment as a clip, or what is wrong with it."""
    label = str(annotation.get("label"))
    try:
        start, end = (float(frame) for frame in annotation["segment"])
    except (KeyError, TypeError, ValueError):
        return f"{where}: expected a segment [first frame, last frame], found {annotation}"
    if label not in CLASSES:
        return f"{where}: fine_grained_action has no class {label!r}"
    labels = dict(zip(TASKS, (label, *CLASSES[label]), strict=True))
    return LabelledClip(video, labels, start, end, split, group=scan, unit="frames", where=where)


def _videos(root: Path, camera: str) -> dict[tuple[str, ...], Path]:
    """Videos of a camera, by furniture and scan."""
    found = {}
    for video in sorted(video_files(root)):
        parts = video.relative_to(root).parts
        if camera in parts[2:]:
            index = parts.index(camera)
            found[parts[index - 2 : index]] = video
    return found


def _splits(root: Path) -> dict[str, str]:
    """The cross-environment split, by furniture/scan."""
    found = {}
    for name in ("train", "test"):
        for path in root.rglob(f"{name}_cross_env.txt"):
            found.update({line.strip(): name for line in path.read_text().splitlines() if line.strip()})
    return found
