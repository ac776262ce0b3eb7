"""Which clips train, which are held out to calibrate and stop by, and which are judged."""

from __future__ import annotations

import hashlib
import random
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass, replace

from step_ros.training.store import StoredClip, TokenStore


class SplitError(ValueError):
    """There are no clips to train on or to judge; the message says what there is."""


@dataclass(frozen=True)
class Split:
    """The clips of a store, by what they are for; no clip is in two."""

    train: list[StoredClip]
    validation: list[StoredClip]
    test: list[StoredClip]

    def of(self, name: str) -> list[StoredClip]:
        """The clips of "train", "validation" or "test".

        Raises:
            SplitError: the name is another, or there are none.
        """
        splits = {"train": self.train, "validation": self.validation, "test": self.test}
        if not splits.get(name):
            there = ", ".join(f"{name} ({len(clips)})" for name, clips in splits.items() if clips)
            raise SplitError(f"the store has no clips of split {name!r}; it has {there or 'none at all'}")
        return splits[name]


def split_clips(store: TokenStore, *, hold_out: Sequence[str] = (), validation_share: float = 0.0) -> Split:
    """Split a store's clips.

    - With `hold_out`: clips of these groups are the test, all others train.
    - Else, where the data set has splits, those.
    - Else all clips train, and all are judged: a store of its own for each is how such data are split.

    Where nothing is for validation, `validation_share` of the training clips is taken for it: whole groups
    if there are enough of them, else clips of every class alike. Which ones depends on nothing but their
    names.

    Args:
        store: whose clips.
        hold_out: groups (see `StoredClip.group`), or values of any one column of the data set, such as
            "scene3".
        validation_share: from 0 (no validation) to below 1.

    Raises:
        SplitError: a held-out name is unknown, or nothing is left to train on.
    """
    if hold_out:
        known = _group_values(store.clips)
        unknown = [name for name in hold_out if name not in known]
        if unknown:
            raise SplitError(
                f"nothing to hold out is called {', '.join(unknown)}; "
                f"groups are {', '.join(sorted({clip.group for clip in store.clips} - {''})) or 'not known'}"
            )
        test = [clip for clip in store.clips if _is_of(clip, hold_out, known)]
        rest = _without(store.clips, test)
        validation = [clip for clip in rest if clip.split == "validation"]
        split = Split(_without(rest, validation), validation, test)
        if not split.train:
            raise SplitError(f"with {', '.join(hold_out)} held out, no clips are left to train on")
    elif any(clip.split for clip in store.clips):
        names = ("train", "validation", "test")
        split = Split(*([clip for clip in store.clips if clip.split == name] for name in names))
    else:
        split = Split(list(store.clips), [], list(store.clips))
    return _with_validation(split, validation_share)


def with_few_examples(split: Split, task: str, count: int, *, seed: int) -> Split:
    """The same split with at most `count` training clips of each class of a task, drawn by `seed`."""
    by_label: dict[str, list[StoredClip]] = defaultdict(list)
    for clip in split.train:
        by_label[clip.labels.get(task, "")].append(clip)
    draw = random.Random(seed)
    drawn = [draw.sample(clips, min(count, len(clips))) for _, clips in sorted(by_label.items())]
    return replace(split, train=[clip for clips in drawn for clip in clips])


def untrained_classes(split: Split, task: str) -> dict[str, list[str]]:
    """Classes that clips of validation or test have and no training clip: split to classes."""
    trained = {clip.labels[task] for clip in split.train if task in clip.labels}
    held_out = {"validation": split.validation, "test": split.test}
    found = {
        name: sorted({clip.labels[task] for clip in clips if task in clip.labels} - trained)
        for name, clips in held_out.items()
    }
    return {name: classes for name, classes in found.items() if classes}


def _group_values(clips: Sequence[StoredClip]) -> dict[str, str]:
    """What can be held out: value to the column it is of; the group comes first."""
    values: dict[str, str] = {}
    for clip in clips:
        for column, value in clip.labels.items():
            values.setdefault(value, column)
    values.update({clip.group: "" for clip in clips if clip.group})
    return values


def _is_of(clip: StoredClip, names: Sequence[str], columns: dict[str, str]) -> bool:
    return any(
        (clip.group if columns[name] == "" else clip.labels.get(columns[name])) == name for name in names
    )


def _with_validation(split: Split, share: float) -> Split:
    """Take a share of the training clips for validation, if there is none yet."""
    if split.validation or share <= 0 or not split.train:
        return split
    groups = sorted({clip.group for clip in split.train} - {""}, key=_digest)
    count = round(share * len(groups))
    if count >= 1 and len(groups) - count >= 2:
        taken = set(groups[:count])
        validation = [clip for clip in split.train if clip.group in taken]
    else:
        by_label: dict[str, list[StoredClip]] = defaultdict(list)
        task = next(iter(split.train[0].labels))
        for clip in split.train:
            by_label[clip.labels.get(task, "")].append(clip)
        validation = []
        for clips in by_label.values():
            clips.sort(key=lambda clip: _digest(clip.name))
            validation += clips[: round(share * len(clips))]
    return Split(_without(split.train, validation), validation, split.test)


def _without(clips: Sequence[StoredClip], taken: Sequence[StoredClip]) -> list[StoredClip]:
    held = {id(clip) for clip in taken}
    return [clip for clip in clips if id(clip) not in held]


def _digest(name: str) -> str:
    return hashlib.sha256(name.encode()).hexdigest()
