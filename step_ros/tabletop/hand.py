"""The hand that does everything: its shape, its grasps, and where it waits."""

from __future__ import annotations

import numpy as np
from scipy.spatial.transform import Rotation

from step_ros.tabletop.pose import Pose, Vector, vector

FINGER_LENGTH = 0.075
FOREARM_HALF_LENGTH = 0.18
WRIST = vector(-0.115, 0, 0)


def hand_xml(hand: str = "hand_a", sleeve: str = "hand_b") -> str:
    """MJCF of a hand, its frame between the fingertips, x pointing where it reaches, and of its forearm.

    The finger groups slide along y: each stands half an aperture from the middle.
    """

    def capsule(z: float, radius: float, tip: float) -> str:
        return (
            f'<geom type="capsule" class="hand" material="{hand}" size="{radius}" '
            f'fromto="{-FINGER_LENGTH} 0 {z} {tip} 0 {z}"/>'
        )

    fingers = "".join(
        capsule(z, 0.0085, tip) for z, tip in ((-0.027, 0.0), (-0.009, 0.012), (0.009, 0.014), (0.027, 0.004))
    )
    return f"""
    <body name="hand"><freejoint name="hand"/>
      <geom type="ellipsoid" class="hand" material="{hand}" size="0.035 0.034 0.04" pos="-0.095 0 0"/>
      <body name="fingers"><joint name="fingers" type="slide" axis="0 1 0"/>{fingers}</body>
      <body name="thumb"><joint name="thumb" type="slide" axis="0 -1 0"/>{capsule(0.0, 0.0105, -0.004)}</body>
    </body>
    <body name="forearm"><freejoint name="forearm"/>
      <geom type="capsule" class="forearm" material="{sleeve}" size="0.024 {FOREARM_HALF_LENGTH}"/>
      <geom type="capsule" class="hand" material="{hand}" size="0.021 0.03"
            pos="0 0 {FOREARM_HALF_LENGTH - 0.01}"/>
    </body>"""


def facing(yaw: float, pitch: float, roll: float = 0.0) -> Rotation:
    """Orientation of a hand that reaches towards `yaw` (about z), `pitch` down, and is rolled; radians."""
    return Rotation.from_euler("ZYX", [yaw, pitch, roll])


def retracted(grasp: Pose, distance: float = 0.07, up: float = 0.03) -> Pose:
    """Where a hand stands just before it takes hold, or just after it has let go."""
    back = grasp.rotation.apply([-distance, 0, 0])
    return Pose(grasp.position + back + vector(0, 0, up), grasp.rotation)


def forearm_pose(hand: Pose, elbow: Vector) -> Pose:
    """Pose of the forearm capsule (along its z) from the elbow (3,) to the wrist of `hand`."""
    wrist = (hand @ Pose(WRIST)).position
    along = wrist - elbow
    along = along / max(float(np.linalg.norm(along)), 1e-6)
    rotation, _ = Rotation.align_vectors(along[None], vector(0, 0, 1)[None])
    return Pose(wrist - along * FOREARM_HALF_LENGTH, rotation)
