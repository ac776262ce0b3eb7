"""What a video's file in a token store is called."""

from __future__ import annotations

import hashlib
import os
import unicodedata
from collections import Counter
from collections.abc import Sequence
from pathlib import Path

_LONGEST = 200
"""Bytes of a name, below the 255 that file systems take: suffixes need some."""


def file_names(videos: Sequence[Path], root: Path) -> dict[Path, str]:
    """A name for each video, no two alike, for its file in `tokens/`.

    It is the video's stem; where another one's would be the same, its path below `root`; where that is taken
    too, or too long, the stem with a digest of the path.
    """

    def possible(video: Path) -> list[str]:
        parts = (part.strip("/\\") or "root" for part in (*_below(video, root).parts[:-1], video.name))
        return [name for name in (video.stem, "__".join(parts)) if len(os.fsencode(name)) <= _LONGEST]

    # Some file systems take names for the same that differ in case, or in how an accent is written.
    def plain(name: str) -> str:
        return unicodedata.normalize("NFC", name).casefold()

    shared = Counter(name for video in videos for name in {plain(name) for name in possible(video)})
    names = {}
    for video in videos:
        digest = hashlib.sha256(os.fsencode(_below(video, root))).hexdigest()
        unique = [name for name in possible(video) if shared[plain(name)] == 1]
        names[video] = unique[0] if unique else f"{video.stem[:40]}-{digest[:32]}"
    return names


def _below(video: Path, root: Path) -> Path:
    return video.relative_to(root) if video.is_relative_to(root) else video
