"""The seven things on the tabletop, each with the pairs of actions that can be done to it."""

from __future__ import annotations

from abc import abstractmethod

import numpy as np
from scipy.spatial.transform import Rotation

from step_ros.tabletop.pose import Pose, minimum_jerk, vector
from step_ros.tabletop.tabletop_object import Generator, Grip, Motion, TabletopObject, geom, hop, ring


class Cup(TabletopObject):
    """A cup with a handle: picked up, or turned over."""

    name = "cup"
    states = ("upright", "over", "held")

    def __init__(self, rng: Generator, base: Pose) -> None:
        super().__init__(rng, base)
        self.radius, self.height = 0.045 * self.scale, 0.11 * self.scale
        self.lift = float(rng.uniform(0.08, 0.12))
        self.turn = float(rng.choice([-1, 1])) * np.pi

    def xml(self) -> str:
        """Its geoms."""
        r, h = self.radius, self.height
        handle = "".join(
            geom("capsule", "cup", "cup_a", f"{0.007 * self.scale}", more=f'fromto="{a} {b}"')
            for a, b in (
                (f"{r} 0 {h * 0.3}", f"{r * 1.65} 0 {h * 0.2}"),
                (f"{r * 1.65} 0 {h * 0.2}", f"{r * 1.65} 0 {-h * 0.2}"),
                (f"{r * 1.65} 0 {-h * 0.2}", f"{r} 0 {-h * 0.3}"),
            )
        )
        bottom = geom("cylinder", "cup_bottom", "cup_b", f"{r} 0.004", f"0 0 {-h / 2 + 0.004}")
        return self._moving(ring("cup", "cup_a", r, h, 0.006) + bottom + handle)

    def rest(self, state: str) -> Pose:
        """Where the moving part lies."""
        upright = self.base @ Pose(vector(0, 0, self.height / 2))
        if state == "over":
            return Pose(upright.position, Rotation.from_rotvec([0, self.turn, 0]) * upright.rotation)
        return upright

    def grip(self, state: str) -> Grip:
        """Where it is taken hold of."""
        return Grip(Pose(vector(0, 0, 0)), (5, 25), 2 * self.radius)

    def motions(self) -> dict[str, Motion]:
        """What can be done with it."""
        upright = self.rest("upright")

        def turn_over(s: float) -> Pose:
            lift = vector(0, 0, self.lift * minimum_jerk(s / 0.4) * (1 - minimum_jerk((s - 0.6) / 0.4)))
            turned = Rotation.from_rotvec([0, self.turn * minimum_jerk((s - 0.2) / 0.6), 0])
            return Pose(upright.position + lift, turned * upright.rotation)

        return {
            "pick_up": Motion("upright", "held", lambda s: upright, seconds=(1.1, 2.0)),
            "turn_over": Motion("upright", "over", turn_over),
        }


class Block(TabletopObject):
    """A block: picked up, or pushed along the table away from the arm."""

    name = "block"
    states = ("near", "far", "held")

    def __init__(self, rng: Generator, base: Pose) -> None:
        super().__init__(rng, base)
        self.half = 0.034 * self.scale
        self.push = Pose(vector(rng.uniform(-0.03, 0.03), rng.uniform(0.11, 0.16), 0))

    def xml(self) -> str:
        """Its geoms."""
        h = self.half
        stripe = geom("box", "block", "block_b", f"{h * 1.02} {h * 0.3} {h * 1.02}")
        return self._moving(geom("box", "block", "block_a", f"{h} {h} {h}") + stripe)

    def rest(self, state: str) -> Pose:
        """Where the moving part lies."""
        near = self.base @ Pose(vector(0, 0, self.half))
        return Pose(near.position + self.push.position, near.rotation) if state == "far" else near

    def grip(self, state: str) -> Grip:
        """Where it is taken hold of."""
        return Grip(Pose(vector(0, 0, self.half * 0.5)), (50, 75), 2 * self.half)

    def motions(self) -> dict[str, Motion]:
        """What can be done with it."""
        near, far = self.rest("near"), self.rest("far")

        def push(s: float) -> Pose:
            return Pose(near.position + minimum_jerk(s) * (far.position - near.position), near.rotation)

        return {
            "pick_up": Motion("near", "held", lambda s: near, seconds=(1.1, 2.0)),
            "push": Motion("near", "far", push),
        }


class Jointed(TabletopObject):
    """What has a part on a joint, which `verb` takes from the first of its two states to the second."""

    verb: str
    rigid = True
    """Whether the hand turns with the part."""

    @abstractmethod
    def _at(self, s: float) -> Pose:
        """The part at share s in [0, 1] of its way."""

    def rest(self, state: str) -> Pose:
        """Where the moving part lies."""
        return self._at(float(state == self.states[1]))

    def motions(self) -> dict[str, Motion]:
        """What can be done with it."""
        first, second = self.states
        return {self.verb: Motion(first, second, lambda s: self._at(minimum_jerk(s)), self.rigid)}


class Drawer(Jointed):
    """A cabinet with one drawer that opens towards the viewer."""

    name = "drawer"
    states = ("closed", "open")
    verb = "open"

    def __init__(self, rng: Generator, base: Pose) -> None:
        super().__init__(rng, base)
        self.half = vector(0.085, 0.07, 0.05) * self.scale
        self.travel = float(rng.uniform(0.08, 0.11))

    def xml(self) -> str:
        """Its geoms."""
        w, d, h = self.half
        t = 0.006
        walls = "".join(
            geom("box", "drawer_cabinet", "drawer_a", size, place)
            for size, place in (
                (f"{w} {d} {t}", f"0 0 {2 * h - t}"),
                (f"{w} {d} {t}", f"0 0 {t}"),
                (f"{t} {d} {h}", f"{-w + t} 0 {h}"),
                (f"{t} {d} {h}", f"{w - t} 0 {h}"),
                (f"{w} {t} {h}", f"0 {d - t} {h}"),
            )
        )
        front = geom("box", "drawer", "drawer_b", f"{w - 2 * t} {t} {h - 2 * t}", f"0 {-d} 0")
        tray = "".join(
            geom("box", "drawer", "drawer_b", size, place)
            for size, place in (
                (f"{w - 3 * t} {d - 2 * t} {t / 2}", f"0 0 {-h + 4 * t}"),
                (f"{t / 2} {d - 2 * t} {h * 0.5}", f"{-w + 3 * t} 0 {-h * 0.3}"),
                (f"{t / 2} {d - 2 * t} {h * 0.5}", f"{w - 3 * t} 0 {-h * 0.3}"),
            )
        )
        bar = geom("capsule", "drawer", "drawer_c", "0.008 0.03", f"0 {-d - 0.025} 0", 'euler="0 90 0"')
        posts = "".join(
            geom("box", "drawer", "drawer_c", "0.004 0.012 0.004", f"{x} {-d - 0.012} 0")
            for x in (-0.025, 0.025)
        )
        return self._static(walls) + self._moving(front + tray + bar + posts)

    def _at(self, s: float) -> Pose:
        return self.base @ Pose(vector(0, -self.travel * s, self.half[2]))

    def grip(self, state: str) -> Grip:
        """Where it is taken hold of."""
        return Grip(Pose(vector(0, -self.half[1] - 0.025, 0)), (35, 65), 0.02)


class Box(Jointed):
    """A box with a hinged lid."""

    name = "box"
    states = ("closed", "open")
    verb = "open"
    rigid = False

    def __init__(self, rng: Generator, base: Pose) -> None:
        super().__init__(rng, base)
        self.half = vector(0.075, 0.06, 0.035) * self.scale
        self.angle = float(np.radians(rng.uniform(95, 115)))

    def xml(self) -> str:
        """Its geoms."""
        w, d, h = self.half
        t = 0.005
        walls = "".join(
            geom("box", "box", "box_a", size, place)
            for size, place in (
                (f"{w} {d} {t}", f"0 0 {t}"),
                (f"{t} {d} {h}", f"{-w + t} 0 {h}"),
                (f"{t} {d} {h}", f"{w - t} 0 {h}"),
                (f"{w} {t} {h}", f"0 {d - t} {h}"),
                (f"{w} {t} {h}", f"0 {-d + t} {h}"),
            )
        )
        lid = geom("box", "box_lid", "box_b", f"{w * 1.03} {d * 1.03} 0.006", f"0 {-d} 0.006")
        tab = geom("box", "box_lid", "box_c", "0.015 0.008 0.006", f"0 {-2 * d - 0.006} 0.006")
        return self._static(walls) + self._moving(lid + tab)

    def _at(self, s: float) -> Pose:
        hinge = Pose(vector(0, self.half[1], 2 * self.half[2]), Rotation.from_rotvec([-self.angle * s, 0, 0]))
        return self.base @ hinge

    def grip(self, state: str) -> Grip:
        """Where it is taken hold of."""
        return Grip(Pose(vector(0, -2 * self.half[1], 0.006)), (25, 50), 0.02)


class Peg(TabletopObject):
    """A peg in the hole of a board; removed, it stands beside the board."""

    name = "peg"
    states = ("inserted", "removed")

    def __init__(self, rng: Generator, base: Pose) -> None:
        super().__init__(rng, base)
        self.radius, self.half = 0.018 * self.scale, 0.05 * self.scale
        self.board = vector(0.065, 0.055, 0.018) * self.scale
        self.aside = vector(rng.uniform(-0.05, 0.05), -rng.uniform(0.11, 0.15), 0)

    def xml(self) -> str:
        """Its geoms."""
        w, d, h = self.board
        board = geom("box", "board", "peg_a", f"{w} {d} {h}", f"0 0 {h}")
        rim = geom("cylinder", "board", "peg_c", f"{self.radius * 1.8} 0.003", f"0 0 {2 * h}")
        hole = geom("cylinder", "board", "dark", f"{self.radius * 1.25} 0.002", f"0 0 {2 * h + 0.0025}")
        shaft = geom("cylinder", "peg", "peg_b", f"{self.radius} {self.half}")
        head = geom("cylinder", "peg", "peg_c", f"{self.radius * 1.5} 0.012", f"0 0 {self.half}")
        return self._static(board + rim + hole) + self._moving(shaft + head)

    def rest(self, state: str) -> Pose:
        """Where the moving part lies."""
        if state == "removed":
            return self.base @ Pose(vector(self.aside[0], self.aside[1], self.half))
        return self.base @ Pose(vector(0, 0, self.half + 0.01))

    def grip(self, state: str) -> Grip:
        """Where it is taken hold of."""
        return Grip(Pose(vector(0, 0, self.half)), (55, 80), 2.4 * self.radius)

    def motions(self) -> dict[str, Motion]:
        """What can be done with it."""
        return {
            "remove": Motion("inserted", "removed", hop(self.rest("inserted"), self.rest("removed"), 0.09))
        }


class Bulb(Jointed):
    """A light bulb in a socket; unscrewed, it stands higher and turned."""

    name = "bulb"
    states = ("screwed_in", "unscrewed")
    verb = "unscrew"

    def __init__(self, rng: Generator, base: Pose) -> None:
        super().__init__(rng, base)
        self.radius = 0.042 * self.scale
        self.rise = float(rng.uniform(0.04, 0.055))
        self.angle = float(np.radians(rng.uniform(170, 260)))

    def xml(self) -> str:
        """Its geoms."""
        r = self.radius
        plate = geom("cylinder", "socket", "bulb_a", f"{r * 1.5} 0.008", "0 0 0.008")
        socket = geom("cylinder", "socket", "bulb_c", f"{r * 0.8} 0.02", "0 0 0.034")
        glass = geom("sphere", "bulb", "bulb_b", f"{r}", f"0 0 {r * 1.3}")
        neck = geom("cylinder", "bulb", "bulb_c", f"{r * 0.55} {r * 0.7}", f"0 0 {-r * 0.1}")
        marks = "".join(
            geom("ellipsoid", "bulb", "bulb_a", f"{r * 0.25} {r * 0.25} {r * 0.6}", f"{x} {y} {r * 1.35}")
            for x, y in ((r * 0.85, 0), (-r * 0.45, r * 0.74))
        )
        return self._static(plate + socket) + self._moving(glass + neck + marks)

    def _at(self, s: float) -> Pose:
        # Counter-clockwise seen from above: a right-hand thread.
        turn = Rotation.from_rotvec([0, 0, self.angle * s])
        return self.base @ Pose(vector(0, 0, 0.05 + self.rise * s), turn)

    def grip(self, state: str) -> Grip:
        """Where it is taken hold of."""
        return Grip(Pose(vector(0, 0, 1.7 * self.radius)), (80, 90), 1.7 * self.radius)


class PotLid(TabletopObject):
    """A pot and its lid; taken off, the lid lies beside the pot."""

    name = "pot_lid"
    states = ("on", "off")

    def __init__(self, rng: Generator, base: Pose) -> None:
        super().__init__(rng, base)
        self.radius, self.height = 0.065 * self.scale, 0.07 * self.scale
        self.aside = vector(rng.uniform(-0.05, 0.05), -rng.uniform(0.15, 0.18), 0)

    def xml(self) -> str:
        """Its geoms."""
        r, h = self.radius, self.height
        pot = geom("cylinder", "pot", "pot_lid_a", f"{r} {h / 2}", f"0 0 {h / 2}")
        inside = geom("cylinder", "pot", "dark", f"{r * 0.92} 0.001", f"0 0 {h + 0.0005}")
        ears = "".join(
            geom("box", "pot", "pot_lid_a", "0.014 0.02 0.006", f"{x} 0 {h * 0.75}")
            for x in (-r - 0.01, r + 0.01)
        )
        lid = geom("cylinder", "pot_lid", "pot_lid_b", f"{r * 1.04} 0.005")
        knob = geom("sphere", "pot_lid", "pot_lid_c", "0.014", "0 0 0.018")
        return self._static(pot + inside + ears) + self._moving(lid + knob)

    def rest(self, state: str) -> Pose:
        """Where the moving part lies."""
        if state == "off":
            return self.base @ Pose(vector(self.aside[0], self.aside[1], 0.006))
        return self.base @ Pose(vector(0, 0, self.height + 0.006))

    def grip(self, state: str) -> Grip:
        """Where it is taken hold of."""
        return Grip(Pose(vector(0, 0, 0.02)), (55, 80), 0.03)

    def motions(self) -> dict[str, Motion]:
        """What can be done with it."""
        return {"take_off": Motion("on", "off", hop(self.rest("on"), self.rest("off"), 0.07))}


OBJECT_TYPES: tuple[type[TabletopObject], ...] = (Cup, Block, Drawer, Box, Peg, Bulb, PotLid)
