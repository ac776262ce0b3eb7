"""Scenes: what the hand does is continuous, labelled without gaps, and valid backwards."""

from __future__ import annotations

import numpy as np
import pytest

from step_ros.tabletop.labels import IDLE, OBJECTS, PAIRS, TASKS, task_labels, task_pairs
from step_ros.tabletop.pose import Pose
from step_ros.tabletop.scene import Phase, Scene, ScenePose, backwards


@pytest.fixture(params=range(12))
def scene(request: pytest.FixtureRequest) -> Scene:
    return Scene(np.random.default_rng(request.param), seconds=20.0)


def test_at_least_six_objects_and_six_nearly_symmetric_pairs() -> None:
    assert len(OBJECTS) >= 6
    assert len(PAIRS) >= 6
    for task in TASKS:
        labels = task_labels(task)
        assert labels[0] == IDLE
        assert {label for pair in task_pairs(task) for label in pair} <= set(labels)


def test_unknown_task_is_named() -> None:
    with pytest.raises(ValueError, match="'colour'"):
        task_labels("colour")


def test_segments_cover_the_scene_without_gaps(scene: Scene) -> None:
    assert scene.segments[0].start == 0.0
    assert scene.segments[-1].end == pytest.approx(scene.seconds)
    for before, after in zip(scene.segments, scene.segments[1:], strict=False):
        assert before.end == pytest.approx(after.start)
        assert before.labels != after.labels or before.labels["atomic_action"] != IDLE


def test_nothing_jumps(scene: Scene) -> None:
    """At 100 Hz nothing moves more than 4 cm, or turns more than 20 degrees, at a time."""
    previous = scene.at(0.0)
    for t in np.arange(0.01, scene.seconds, 0.01):
        now = scene.at(float(t))
        for name, pose in {**now.parts, "hand": now.hand}.items():
            before = previous.hand if name == "hand" else previous.parts[name]
            assert np.linalg.norm(pose.position - before.position) < 0.04, f"{name} jumps at {t:.2f} s"
            turn = np.degrees((pose.rotation * before.rotation.inv()).magnitude())
            assert turn < 20, f"{name} turns by {turn:.0f} degrees at {t:.2f} s"
        previous = now


def test_nothing_sinks_into_the_table(scene: Scene) -> None:
    for t in np.arange(0, scene.seconds, 0.05):
        for name, pose in scene.at(float(t)).parts.items():
            assert pose.position[2] > 0, f"{name} is under the table at {t:.2f} s"


def test_backwards_shows_the_same_snapshots_in_the_opposite_order() -> None:
    def at(u: float) -> ScenePose:
        return ScenePose(Pose(np.array([u, 0, 0])), u, {})

    film = [Phase(1.0, at, action=True), Phase(2.0, lambda u: at(1 + u))]
    turned = backwards(film)
    assert [phase.seconds for phase in turned] == [2.0, 1.0]
    assert [phase.at(0.25).aperture for phase in turned] == [1.75, 0.75]
    assert turned[1].action


def test_same_seed_same_scene() -> None:
    first, second = (Scene(np.random.default_rng(7), seconds=10.0) for _ in range(2))
    assert first.segments == second.segments
    np.testing.assert_array_equal(first.at(5.0).hand.position, second.at(5.0).hand.position)
