"""Which files hold one film? A copy under another name is the same one."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable
from pathlib import Path

from step_ros.training.datasets.labelled_clips import ClipsError
from step_ros.training.store.source import Source


def same_films(videos: Iterable[Path]) -> dict[Path, Path]:
    """Of each video, or bag, the first of those that hold the same.

    Only files of one size are read.
    """
    by_size: dict[int, list[Path]] = defaultdict(list)
    for video in dict.fromkeys(videos):
        by_size[_size(video)].append(video)
    first: dict[Path, Path] = {}
    for alike in by_size.values():
        by_content: dict[object, Path] = {}
        for video in alike:
            content = _content(video) if len({each.resolve() for each in alike}) > 1 else video.resolve()
            first[video] = by_content.setdefault(content, video)
    return first


def _size(video: Path) -> int:
    files = video.rglob("*") if video.is_dir() else [video]
    return sum(file.stat().st_size for file in files if file.is_file())


def _content(video: Path) -> object:
    try:
        return Source.of(video).sha256
    except ClipsError:  # it cannot be read, and is like none
        return video.resolve()
