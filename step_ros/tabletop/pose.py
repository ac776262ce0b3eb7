"""Rigid poses: what a hand and the things it holds need of geometry."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray
from scipy.spatial.transform import Rotation, Slerp

Vector = NDArray[np.float64]


def vector(*xyz: float) -> Vector:
    """A float64 vector (3,) in metres."""
    return np.array(xyz, dtype=np.float64)


@dataclass(frozen=True, eq=False)
class Pose:
    """A rigid transform: `position` (3,) in metres and `rotation`."""

    position: Vector
    rotation: Rotation = field(default_factory=Rotation.identity)

    def __matmul__(self, other: Pose) -> Pose:
        """`other`, given in this pose's frame, in this pose's parent frame."""
        return Pose(self.position + self.rotation.apply(other.position), self.rotation * other.rotation)

    def inverse(self) -> Pose:
        """The parent frame seen from this pose."""
        inverse = self.rotation.inv()
        return Pose(-inverse.apply(self.position), inverse)

    def qpos(self) -> Vector:
        """The seven numbers of a MuJoCo free joint: position, then quaternion (w, x, y, z)."""
        return np.concatenate([self.position, self.rotation.as_quat()[[3, 0, 1, 2]]])


def between(a: Pose, b: Pose, u: float, arc: float = 0.0) -> Pose:
    """The pose a share `u` in [0, 1] of the way from `a` to `b`, lifted by up to `arc` metres on the way."""
    position = (1 - u) * a.position + u * b.position + vector(0, 0, 4 * arc * u * (1 - u))
    if u <= 0.0 or u >= 1.0:
        return Pose(position, a.rotation if u <= 0.0 else b.rotation)
    return Pose(position, Slerp([0, 1], Rotation.concatenate([a.rotation, b.rotation]))(u))


def minimum_jerk(u: float) -> float:
    """Share of a human reach done at share `u` of its time (Flash and Hogan, 1985); symmetric in time."""
    u = min(max(u, 0.0), 1.0)
    return u * u * u * (10 - 15 * u + 6 * u * u)
