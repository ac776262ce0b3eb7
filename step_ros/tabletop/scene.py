"""A scene: some objects, a hand, and one action after another, as poses over time with ground-truth segments.

A skill is built once, forwards, from smooth phases; its partner is the same phases played backwards. So the
frames of `open drawer` and of `close drawer` are drawn from one distribution, and only their order tells them
apart.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from scipy.spatial.transform import Rotation

from step_ros.tabletop.hand import facing, retracted
from step_ros.tabletop.labels import IDLE_LABELS, labels_of
from step_ros.tabletop.labels import PAIRS as ALL_PAIRS
from step_ros.tabletop.objects import OBJECT_TYPES
from step_ros.tabletop.pose import Pose, Vector, between, minimum_jerk, vector
from step_ros.tabletop.tabletop_object import Generator, Grip, Motion, TabletopObject

REVERSE_VERB = {(pair.object, pair.forward): pair.reverse for pair in ALL_PAIRS}


@dataclass(frozen=True, eq=False)
class ScenePose:
    """The moving things at one instant: the hand, its fingers' opening (m), and the parts that move.

    `in_hand` names the part that the hand holds; in a phase that is all that `parts` can hold.
    """

    hand: Pose
    aperture: float
    parts: dict[str, Pose]
    in_hand: str | None = None


@dataclass(frozen=True, eq=False)
class Phase:
    """A stretch of motion: `at` maps share u in [0, 1] of it to a snapshot; `action` marks labelled time."""

    seconds: float
    at: Callable[[float], ScenePose]
    action: bool = False


@dataclass(frozen=True)
class SceneSegment:
    """Ground truth: labels a task, from `start` to `end` (seconds)."""

    start: float
    end: float
    labels: dict[str, str]


def reach(a: ScenePose, b: ScenePose, seconds: float, *, arc: float = 0.0, action: bool = False) -> Phase:
    """The hand moves from `a` to `b`; what it carries moves with it."""
    carried = {name: a.hand.inverse() @ pose for name, pose in a.parts.items()}

    def at(u: float) -> ScenePose:
        share = minimum_jerk(u)
        hand = between(a.hand, b.hand, share, arc)
        aperture = (1 - share) * a.aperture + share * b.aperture
        return ScenePose(hand, aperture, {name: hand @ grasp for name, grasp in carried.items()})

    return Phase(seconds, at, action)


def backwards(phases: list[Phase]) -> list[Phase]:
    """The same film from its end to its beginning."""

    def turned(phase: Phase) -> Phase:
        return Phase(phase.seconds, lambda u: phase.at(1.0 - u), phase.action)

    return [turned(phase) for phase in reversed(phases)]


class Scene:
    """Objects on a table and what a hand does to them for `seconds`.

    Attributes:
        objects: what stands on the table.
        elbow: where the arm comes from, (3,) in metres.
        segments: ground truth, gapless, in order; time that belongs to no action is `idle`.
    """

    def __init__(
        self, rng: Generator, seconds: float, *, num_objects: int | None = None, pace: float = 1.0
    ) -> None:
        """Plan a scene.

        Args:
            rng: source of everything random.
            seconds: least duration; the scene ends with the action then under way.
            num_objects: how many objects stand on the table, 1 to 3; random by default.
            pace: how slowly things are done: 1 is brisk, 1.5 half as fast again.
        """
        self.rng = rng
        self.pace = pace
        # The arm comes from one side, where it hides little of what the hand does; 0 is the viewer's place.
        azimuth = rng.choice([-1, 1]) * np.radians(rng.uniform(55, 115))
        self.elbow = vector(0.6 * np.sin(azimuth), -0.6 * np.cos(azimuth), rng.uniform(0.2, 0.4))
        self.objects = self._place_objects(num_objects or int(rng.choice([1, 2, 3], p=[0.25, 0.45, 0.3])))
        self._state = {o.name: str(rng.choice([s for s in o.states if s != "held"])) for o in self.objects}
        self._initial = {o.name: o.rest(self._state[o.name]) for o in self.objects}
        self._held: TabletopObject | None = None
        self._now = self._hover()
        self._phases: list[Phase] = []
        self.segments: list[SceneSegment] = []
        self._starts: list[float] = [0.0]
        self._plan(seconds)
        self.seconds = self._starts[-1]

    # ----- the film -----

    def at(self, t: float) -> ScenePose:
        """The scene at time `t` in seconds: the hand, and every moving part's pose."""
        index = min(max(bisect_right(self._starts, t) - 1, 0), len(self._phases) - 1)
        phase = self._phases[index]
        snapshot = phase.at(min(max((t - self._starts[index]) / phase.seconds, 0.0), 1.0))
        parts = {**self._parts_at_start[index], **snapshot.parts}
        return ScenePose(snapshot.hand, snapshot.aperture, parts, next(iter(snapshot.parts), None))

    # ----- the plan -----

    def _place_objects(self, count: int) -> list[TabletopObject]:
        spread = {1: [0.0], 2: [-0.13, 0.13], 3: [-0.2, 0.0, 0.2]}[count]
        kinds = self.rng.permutation(len(OBJECT_TYPES))[:count]
        objects = []
        for x, kind in zip(spread, kinds, strict=True):
            place = vector(
                x + self.rng.uniform(-0.03, 0.03) * (4 if count == 1 else 1), self.rng.uniform(-0.0, 0.1), 0
            )
            turn = Rotation.from_rotvec([0, 0, self.rng.uniform(-0.55, 0.55)])
            objects.append(OBJECT_TYPES[kind](self.rng, Pose(place, turn)))
        return objects

    def _plan(self, seconds: float) -> None:
        self._parts_at_start: list[dict[str, Pose]] = []
        self._parts = dict(self._initial)
        if self.rng.uniform() < 0.5:
            self._idle()
        while self._starts[-1] < seconds:
            kind = self.rng.uniform()
            if kind < 0.8:
                self._act()
            elif kind < 0.9 or self._held:
                self._idle()
            else:
                self._feint()

    def _append(self, phases: list[Phase], labels: dict[str, str]) -> None:
        for phase in phases:
            start = self._starts[-1]
            self._phases.append(phase)
            self._parts_at_start.append(dict(self._parts))
            self._starts.append(start + phase.seconds)
            self._now = phase.at(1.0)
            self._parts.update(self._now.parts)
            phase_labels = labels if phase.action else IDLE_LABELS
            if self.segments and self.segments[-1].labels == phase_labels:
                last = self.segments.pop()
                start = last.start
            self.segments.append(SceneSegment(start, self._starts[-1], phase_labels))

    def _act(self) -> None:
        """Do one action that the state of the table allows."""
        candidates: list[tuple[TabletopObject, str, Motion, bool]] = []
        for o in [self._held] if self._held else self.objects:
            for verb, motion in o.motions().items():
                if self._state[o.name] == motion.start:
                    candidates.append((o, verb, motion, True))
                elif self._state[o.name] == motion.end:
                    candidates.append((o, verb, motion, False))
        target, verb, motion, forwards = candidates[int(self.rng.integers(len(candidates)))]
        if motion.end == "held":
            phases = self._lift(target, motion, forwards)
        else:
            phases = self._manipulate(target, motion, forwards)
        self._append(
            phases if forwards else backwards(phases),
            labels_of(verb if forwards else REVERSE_VERB[target.name, verb], target.name),
        )
        self._state[target.name] = motion.end if forwards else motion.start
        self._held = target if self._state[target.name] == "held" else None
        if motion.end == "held":
            self._now = ScenePose(
                self._now.hand,
                self._now.aperture,
                {target.name: self._parts[target.name]} if self._held else {},
            )

    def _manipulate(self, target: TabletopObject, motion: Motion, forwards: bool) -> list[Phase]:
        """Reach, take hold, move the part along its path, let go, draw back: the forward film."""
        here, there = self._now, self._hover()
        before, after = (here, there) if forwards else (there, here)
        grip = target.grip(motion.start)
        first = self._grasp(grip, motion.path(0.0))
        relative = motion.path(0.0).inverse() @ first
        turned_by = (
            facing(self.rng.uniform(-0.2, 0.2), self.rng.uniform(-0.2, 0.3)) if not motion.rigid else None
        )

        def hand_at(s: float) -> Pose:
            follow = motion.path(s) @ relative
            if turned_by is None:
                return follow
            return Pose(
                follow.position, between(first, Pose(vector(0, 0, 0), first.rotation * turned_by), s).rotation
            )

        def move(u: float) -> ScenePose:
            return ScenePose(hand_at(u), grip.aperture, {target.name: motion.path(u)})

        opened = grip.aperture + self.rng.uniform(0.02, 0.04)
        start_pre = ScenePose(retracted(first), opened, {})
        end_pre = ScenePose(retracted(hand_at(1.0)), opened, {})
        return [
            self._travel(before, start_pre),
            reach(start_pre, ScenePose(first, grip.aperture, {}), self._time(0.3, 0.5), action=True),
            Phase(self._time(*motion.seconds), move, action=True),
            reach(ScenePose(hand_at(1.0), grip.aperture, {}), end_pre, self._time(0.3, 0.5), action=True),
            self._travel(end_pre, after),
        ]

    def _lift(self, target: TabletopObject, motion: Motion, forwards: bool) -> list[Phase]:
        """Reach, take hold, carry off: the forward film of picking up."""
        grip = target.grip(motion.start)
        if forwards:
            before, rest = self._now, target.rest(motion.start)
            first = self._grasp(grip, rest)
            after = self._hover(held=True)
        else:
            before = self._hover()
            grasp_in_part = self._parts[target.name].inverse() @ self._now.hand
            rest = target.rest(motion.start)
            toward = self._yaw_to(rest.position)
            # The part keeps its grasp, so its yaw on the table follows from the yaw of the hand.
            turn = toward - float((rest @ grasp_in_part).rotation.as_euler("ZYX")[0])
            rest = Pose(rest.position, Rotation.from_rotvec([0, 0, turn]) * rest.rotation)
            target.base = Pose(
                target.base.position, Rotation.from_rotvec([0, 0, turn]) * target.base.rotation
            )
            first = rest @ grasp_in_part
            after = self._now
        opened = ScenePose(retracted(first), grip.aperture + self.rng.uniform(0.02, 0.04), {})
        holding = ScenePose(first, grip.aperture, {target.name: rest})
        lifted = ScenePose(after.hand, grip.aperture, {})
        return [
            self._travel(before, opened),
            reach(opened, ScenePose(first, grip.aperture, {}), self._time(0.3, 0.5), action=True),
            reach(holding, lifted, self._time(*motion.seconds), arc=self.rng.uniform(0.0, 0.04), action=True),
        ]

    def _idle(self) -> None:
        """Nothing in particular: wait, or wander, with whatever is in the hand."""
        if self.rng.uniform() < 0.4:
            drift = self.rng.normal(0, 0.012, 3)
            turned = self._now.hand.rotation * Rotation.from_rotvec(self.rng.normal(0, 0.06, 3))
            goal = ScenePose(Pose(self._now.hand.position + drift, turned), self._now.aperture, {})
            self._append([reach(self._now, goal, self._time(0.5, 1.4))], IDLE_LABELS)
        else:
            hover = self._hover(held=self._held is not None)
            goal = ScenePose(hover.hand, self._now.aperture if self._held else hover.aperture, {})
            self._append([self._travel(self._now, goal)], IDLE_LABELS)

    def _feint(self) -> None:
        """Reach for something and draw back without touching it."""
        target = self.objects[int(self.rng.integers(len(self.objects)))]
        grip = target.grip(self._state[target.name])
        grasp = self._grasp(grip, self._parts[target.name])
        near = ScenePose(retracted(grasp, 0.09, 0.05), grip.aperture + 0.03, {})
        self._append([self._travel(self._now, near), self._travel(near, self._hover())], IDLE_LABELS)

    # ----- poses -----

    def _time(self, low: float, high: float) -> float:
        return float(self.rng.uniform(low, high)) * self.pace

    def _yaw_to(self, position: Vector) -> float:
        return float(np.arctan2(position[1] - self.elbow[1], position[0] - self.elbow[0]))

    def _grasp(self, grip: Grip, part: Pose) -> Pose:
        """A hand pose that takes hold of the part, coming from where the arm comes from."""
        position = (part @ grip.place).position
        yaw = self._yaw_to(position) + self.rng.uniform(-0.25, 0.25)
        return Pose(
            position, facing(yaw, np.radians(self.rng.uniform(*grip.pitch)), self.rng.uniform(-0.15, 0.15))
        )

    def _hover(self, *, held: bool = False) -> ScenePose:
        """Where the hand waits: above the table, or, now and then, out of sight."""
        if not held and self.rng.uniform() < 0.12:
            position = 0.75 * self.elbow + vector(0, 0, 0.05)
        else:
            position = vector(
                self.rng.uniform(-0.2, 0.2), self.rng.uniform(-0.14, 0.06), self.rng.uniform(0.17, 0.26)
            )
        pitch = self.rng.uniform(5, 30) if held else self.rng.uniform(25, 70)
        rotation = facing(
            self._yaw_to(position) + self.rng.uniform(-0.2, 0.2),
            np.radians(pitch),
            self.rng.uniform(-0.4, 0.4),
        )
        return ScenePose(Pose(position, rotation), self.rng.uniform(0.03, 0.1), {})

    def _travel(self, a: ScenePose, b: ScenePose) -> Phase:
        """A free movement of the hand; the farther, the longer."""
        distance = float(np.linalg.norm(a.hand.position - b.hand.position))
        return reach(a, b, self._time(0.3, 0.5) + distance / 0.8, arc=self.rng.uniform(0.0, 0.06))
