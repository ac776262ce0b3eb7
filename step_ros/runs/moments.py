"""From labels that come one by one, each on a topic of its own, to the moments at which they were said."""

from __future__ import annotations

from collections import deque
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from step_ros.frames import Frame
from step_ros.perception import UNKNOWN, Direction, StableLabel
from step_ros.perception.announcements import Announcement
from step_ros.runs.run import RunTask, RunUpdate
from step_ros.scores.timeline import UNLABELLED


@dataclass(frozen=True, eq=False)
class Moment:
    """One update of a run, with what only writers need of it."""

    update: RunUpdate
    """What was said."""
    announcements: list[Announcement]
    """The messages that said it."""
    frame: Frame | None
    """The window's newest image, if anybody has it."""
    frame_id: str
    """The coordinate frame of the camera."""


@dataclass(frozen=True)
class Heard:
    """A label as it came from a node."""

    announcement: Announcement
    """What it says."""
    received_ns: int
    """When it came."""
    frame_id: str
    """The coordinate frame of the camera."""


class Moments:
    """Puts one camera's labels together: one window's answers share its stamp, in whatever order they come.

    A change of a stable label is stamped with its onset, which tells no window; it belongs to the update that
    came nearest to it.

    Args:
        tasks: by name; labels of others are none of this run's.
    """

    def __init__(self, tasks: Mapping[str, RunTask]) -> None:
        self._tasks = tasks
        self._updates: list[Heard] = []
        self._changes: deque[Heard] = deque()
        self._directions: list[tuple[int, Direction]] = []

    def hear(self, heard: Heard) -> Moment | None:
        """Take a label in; returns the moment before, once one of the next has come."""
        if heard.announcement.task not in self._tasks:
            return None
        if heard.announcement.stable:
            self._changes.append(heard)
            return None
        before = self._updates
        if before and before[0].announcement.stamp_ns != heard.announcement.stamp_ns:
            self._updates = [heard]
            return self._moment(before, until_ns=heard.received_ns)
        self._updates.append(heard)
        return None

    def hear_direction(self, direction: Direction, stamp_ns: int) -> None:
        """Take in what the window of a stamp, read backwards, says of a label."""
        self._directions.append((stamp_ns, direction))

    def last(self) -> Moment | None:
        """The moment that nothing has followed; None if nothing was said."""
        updates, self._updates = self._updates, []
        return self._moment(updates, until_ns=None) if updates else None

    def _moment(self, updates: list[Heard], until_ns: int | None) -> Moment:
        """Of the updates of one stamp, all that came before those at `until_ns`."""
        came_ns = max(heard.received_ns for heard in updates)
        stamp_ns = updates[0].announcement.stamp_ns
        changes = []
        while self._changes and (
            until_ns is None
            or self._changes[0].received_ns - came_ns <= until_ns - self._changes[0].received_ns
        ):
            changes.append(self._changes.popleft())
        said = {heard.announcement.task: heard.announcement.results for heard in updates}
        update = RunUpdate(
            stamp_ns=stamp_ns,
            received_ns=came_ns,
            log_time_ns=came_ns,
            probabilities={
                task: _probabilities(described.labels, dict(said.get(task, ())))
                for task, described in self._tasks.items()
            },
            changes=tuple(stable_label(heard.announcement) for heard in changes),
            directions=tuple(direction for stamp, direction in self._directions if stamp == stamp_ns),
        )
        self._directions = [(stamp, direction) for stamp, direction in self._directions if stamp > stamp_ns]
        announcements = [heard.announcement for heard in (*updates, *changes)]
        return Moment(update, announcements, None, updates[0].frame_id)


def _probabilities(labels: tuple[str, ...], said: Mapping[str, float]) -> np.ndarray:
    """(K,) float32, NaN for labels that were not named."""
    return np.array([said.get(label, np.nan) for label in labels], np.float32)


def stable_label(announcement: Announcement) -> StableLabel:
    """The change that a message on ``~/<task>/stable`` tells; no label is `UNLABELLED`."""
    label, confidence = announcement.results[0] if announcement.results else (UNLABELLED, 0.0)
    return StableLabel(announcement.task, label, confidence, announcement.stamp_ns)


def heard_direction(task: str, results: tuple[tuple[str, float], ...], partner: str) -> Direction:
    """What a message on ``~/<task>/direction`` tells: led by `UNKNOWN` where it was not confirmed."""
    label, confidence = results[-1]
    return Direction(task, label, partner, confidence, confirmed=results[0][0] != UNKNOWN)
