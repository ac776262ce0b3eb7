"""What every thing on the tabletop has: a shape as MJCF, a moving part, and the paths that part can take.

The moving part is a MuJoCo body with a free joint whose pose is set frame by frame: nothing is simulated, and
a film of kinematics runs backwards as well as forwards. A geom's MJCF class is its category, which is what
`SceneRenderer.targets` reads from a segmentation.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from step_ros.tabletop.pose import Pose, minimum_jerk, vector

Generator = np.random.Generator
Path = Callable[[float], Pose]


@dataclass(frozen=True, eq=False)
class Motion:
    """What one skill does to a moving part, from state `start` to state `end`.

    Attributes:
        path: pose of the moving part at share s in [0, 1] of the motion.
        rigid: whether the hand turns with the part; else it keeps its own orientation.
        seconds: range of the motion's duration.
    """

    start: str
    end: str
    path: Path
    rigid: bool = True
    seconds: tuple[float, float] = (1.5, 2.6)


@dataclass(frozen=True, eq=False)
class Grip:
    """How a hand takes hold: place of the fingertips on the part, pitch (degrees down), aperture (m)."""

    place: Pose
    pitch: tuple[float, float]
    aperture: float


class TabletopObject(ABC):
    """An object at `base` (on the table, turned about the vertical), of random size.

    Subclasses give `name`, `xml()`, `grip()`, `rest()` and `motions()`.
    """

    name: str
    states: tuple[str, ...]

    def __init__(self, rng: Generator, base: Pose) -> None:
        self.rng = rng
        self.base = base
        self.scale = float(rng.uniform(0.9, 1.15))

    @abstractmethod
    def xml(self) -> str:
        """MJCF of the object's bodies; materials `<name>_a` and `<name>_b` are the world's to define."""

    @abstractmethod
    def grip(self, state: str) -> Grip:
        """Where and how the moving part is taken hold of in `state`."""

    @abstractmethod
    def rest(self, state: str) -> Pose:
        """Pose of the moving part at rest in `state`."""

    @abstractmethod
    def motions(self) -> dict[str, Motion]:
        """The forward motions, by verb."""

    def _static(self, geoms: str) -> str:
        x, y, z = self.base.position
        w, qx, qy, qz = self.base.qpos()[3:]
        return f'<body pos="{x} {y} {z}" quat="{w} {qx} {qy} {qz}">{geoms}</body>'

    def _moving(self, geoms: str) -> str:
        return f'<body name="{self.name}"><freejoint name="{self.name}"/>{geoms}</body>'


def geom(kind: str, category: str, material: str, size: str, position: str = "0 0 0", more: str = "") -> str:
    """One MJCF geom that touches nothing."""
    looks = f'class="{category}" material="{material}"'
    return f'<geom type="{kind}" {looks} size="{size}" pos="{position}" {more}/>'


def ring(
    category: str, material: str, radius: float, height: float, thickness: float, sides: int = 14
) -> str:
    """A hollow cylinder about z, made of boxes."""
    half_side = radius * np.tan(np.pi / sides) + thickness / 2
    return "".join(
        geom(
            "box",
            category,
            material,
            f"{thickness / 2} {half_side} {height / 2}",
            f"{radius * np.cos(a)} {radius * np.sin(a)} 0",
            f'euler="0 0 {np.degrees(a)}"',
        )
        for a in np.linspace(0, 2 * np.pi, sides, endpoint=False)
    )


def hop(a: Pose, b: Pose, height: float) -> Path:
    """Up, across and down again: a path that clears `height` metres between two poses."""

    def path(s: float) -> Pose:
        across = minimum_jerk((s - 0.25) / 0.5)
        up = minimum_jerk(s / 0.4) * (1 - minimum_jerk((s - 0.6) / 0.4))
        position = (1 - across) * a.position + across * b.position + vector(0, 0, height * up)
        return Pose(position, a.rotation if across < 0.5 else b.rotation)

    return path
