"""Labels that come one by one, each on a topic of its own, become the moments at which they were said."""

from __future__ import annotations

import numpy as np
import pytest

from step_ros.perception import Direction
from step_ros.perception.announcements import Announcement
from step_ros.runs.moments import Heard, Moment, Moments, heard_direction
from step_ros.runs.run import RunTask

TASKS = {
    "action": RunTask(("idle", "open", "close"), (("open", "close"),)),
    "object": RunTask(("idle", "cup")),
}
MS = 1_000_000


def heard(task: str, stamp_ms: int, came_ms: int, *results: tuple[str, float], stable: bool = False) -> Heard:
    return Heard(Announcement(task, stable, stamp_ms * MS, results), came_ms * MS, "camera")


def moments_of(*labels: Heard) -> list[Moment]:
    moments = Moments(TASKS)
    made = [moments.hear(label) for label in labels] + [moments.last()]
    return [moment for moment in made if moment is not None]


def test_one_windows_answers_are_one_moment_when_its_last_has_come() -> None:
    first, second = moments_of(
        heard("action", 0, 80, ("open", 0.7), ("close", 0.2)),
        heard("object", 0, 81, ("cup", 0.9)),
        heard("object", 100, 180, ("idle", 0.6)),
        heard("action", 100, 182, ("open", 0.8)),
    )
    assert (first.update.stamp_ns, first.update.received_ns) == (0, 81 * MS)
    assert (second.update.stamp_ns, second.update.received_ns) == (100 * MS, 182 * MS)
    np.testing.assert_array_equal(first.update.probabilities["action"], np.float32([np.nan, 0.7, 0.2]))
    assert [a.task for a in second.announcements] == ["object", "action"]


def test_a_task_that_said_nothing_has_no_probabilities() -> None:
    (moment,) = moments_of(heard("object", 0, 80, ("cup", 0.9)))
    assert np.isnan(moment.update.probabilities["action"]).all()


@pytest.mark.parametrize(("came_ms", "index"), [(82, 0), (100, 0), (179, 1), (185, 1)])
def test_a_stable_label_belongs_to_the_update_that_came_nearest(came_ms: int, index: int) -> None:
    labels = [
        heard("action", 0, 80, ("open", 0.7)),
        heard("action", 100, 180, ("open", 0.7)),
        heard("action", -500, came_ms, ("open", 0.7), stable=True),
    ]
    made = moments_of(*sorted(labels, key=lambda label: label.received_ns))
    assert [len(moment.update.changes) for moment in made] == [int(i == index) for i in range(2)]
    assert made[index].update.changes[0].onset_ns == -500 * MS


def test_a_label_that_is_taken_back_is_a_change_to_none() -> None:
    (moment,) = moments_of(heard("action", 0, 80, ("open", 0.7)), heard("action", 3000, 3000, stable=True))
    assert moment.update.changes[0].label == ""


def test_a_direction_goes_to_the_window_that_it_was_read_from() -> None:
    moments = Moments(TASKS)
    moments.hear(heard("action", 0, 80, ("open", 0.7)))
    unsure = heard_direction("action", (("unknown", 0.6), ("open", 0.4)), "close")
    moments.hear_direction(unsure, 100 * MS)
    first = moments.hear(heard("action", 100, 180, ("open", 0.7)))
    second = moments.last()
    assert first is not None and second is not None
    assert first.update.directions == ()
    assert second.update.directions == (Direction("action", "open", "close", 0.4, confirmed=False),)


def test_tasks_of_others_are_none_of_this_run() -> None:
    assert moments_of(heard("posture", 0, 80, ("sitting", 0.9))) == []
