"""Scenes to pixels: MuJoCo off screen, and the dense labels its segmentation gives for nothing."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from step_ros.extras import optional_package
from step_ros.tabletop.appearance import TEXTURE_SIZE, Appearance
from step_ros.tabletop.hand import forearm_pose, hand_xml
from step_ros.tabletop.labels import OBJECTS
from step_ros.tabletop.pose import Pose, vector
from step_ros.tabletop.scene import Scene, ScenePose

CATEGORIES = (
    "background", "hand", "forearm", "distractor", "cup", "cup_bottom", "block", "drawer_cabinet", "drawer",
    "box", "box_lid", "board", "peg", "socket", "bulb", "pot", "pot_lid",
)  # fmt: skip
CELLS = 32  # the dense labels are CELLS x CELLS a frame


@dataclass(frozen=True, eq=False)
class DenseTargets:
    """What is where in one frame.

    Attributes:
        categories: uint8 (CELLS, CELLS), an index into `CATEGORIES` a cell.
        places: float32 (1 + len(OBJECTS), 3): image place (x, y in [0, 1]) and distance (m) of the hand and
            of each object's moving part; NaN for objects that are not there.
        axes: float32 (1 + len(OBJECTS), 2, 3): where their own x and z axes point, in the camera's frame.
        aperture: opening between the fingers in metres.
        in_hand: index into `OBJECTS` of what the hand holds; len(OBJECTS) for nothing.
    """

    categories: NDArray[np.uint8]
    places: NDArray[np.float32]
    axes: NDArray[np.float32]
    aperture: float
    in_hand: int


class SceneRenderer:
    """Draws one scene in one appearance. Use as a context manager: it holds an OpenGL context.

    Args:
        scene: what happens.
        appearance: how it looks.
        height: of the frames in pixels; at most 480.
        width: of the frames in pixels; at most 640.
        samples: of each pixel, against jagged edges; 0 is fastest.

    Raises:
        MissingPackageError: MuJoCo is not installed.
    """

    def __init__(
        self, scene: Scene, appearance: Appearance, *, height: int = 240, width: int = 320, samples: int = 0
    ) -> None:
        self.scene = scene
        self.appearance = appearance
        self._mujoco = optional_package("mujoco", extra="tabletop")
        self.model = self._mujoco.MjModel.from_xml_string(_world_xml(scene, appearance, samples))
        for index in range(self.model.ntex):
            start = self.model.tex_adr[index]
            self.model.tex_data[start : start + TEXTURE_SIZE * TEXTURE_SIZE * 3] = (
                appearance.texture().ravel()
            )
        self.data = self._mujoco.MjData(self.model)
        self._colour = self._mujoco.Renderer(self.model, height, width)
        self._cells: Any = None

    def __enter__(self) -> SceneRenderer:
        return self

    def __exit__(self, *_: object) -> None:
        self._colour.close()
        if self._cells is not None:
            self._cells.close()

    def frame(self, t: float) -> NDArray[np.uint8]:
        """The scene at time `t` in seconds, RGB uint8 (height, width, 3)."""
        self._pose(t)
        self._colour.update_scene(self.data, "camera")
        rgb: NDArray[np.uint8] = self._colour.render()
        return rgb

    def targets(self, t: float) -> DenseTargets:
        """The dense labels of the scene at time `t` in seconds."""
        if self._cells is None:
            self._cells = self._mujoco.Renderer(self.model, CELLS, CELLS * 4 // 3)
            self._cells.enable_segmentation_rendering()
        snapshot = self._pose(t)
        self._cells.update_scene(self.data, "camera")
        geoms = self._cells.render()[..., 0]
        squashed = geoms[:, np.linspace(0, geoms.shape[1] - 1, CELLS).round().astype(int)]
        categories = np.where(squashed >= 0, self.model.geom_user[squashed, 0], 0).astype(np.uint8)
        present = {o.name for o in self.scene.objects}
        bodies = ["hand", *(name if name in present else None for name in OBJECTS)]
        return DenseTargets(
            categories,
            places=np.stack([self._place(name) for name in bodies]),
            axes=np.stack([self._axes(name) for name in bodies]),
            aperture=snapshot.aperture,
            in_hand=OBJECTS.index(snapshot.in_hand) if snapshot.in_hand else len(OBJECTS),
        )

    def _place(self, body: str | None) -> NDArray[np.float32]:
        if body is None:
            return np.full(3, np.nan, dtype=np.float32)
        camera = self.data.cam_xmat[0].reshape(3, 3)
        x, y, z = camera.T @ (self.data.body(body).xpos - self.data.cam_xpos[0])
        scale = 0.5 / np.tan(np.radians(self.appearance.camera.field_of_view) / 2) / -z
        return np.array([0.5 + x * scale * 3 / 4, 0.5 - y * scale, -z], dtype=np.float32)

    def _axes(self, body: str | None) -> NDArray[np.float32]:
        if body is None:
            return np.full((2, 3), np.nan, dtype=np.float32)
        turned = self.data.cam_xmat[0].reshape(3, 3).T @ self.data.body(body).xmat.reshape(3, 3)
        return np.asarray(turned[:, [0, 2]].T, dtype=np.float32)

    def _pose(self, t: float) -> ScenePose:
        snapshot = self.scene.at(t)
        poses = {**snapshot.parts, "hand": snapshot.hand}
        poses["forearm"] = forearm_pose(snapshot.hand, self.scene.elbow)
        for name, pose in poses.items():
            self.data.joint(name).qpos = pose.qpos()
        for finger in ("fingers", "thumb"):
            self.data.joint(finger).qpos = snapshot.aperture / 2 + 0.008
        self._mujoco.mj_kinematics(self.model, self.data)
        self._mujoco.mj_comPos(self.model, self.data)
        self._mujoco.mj_camlight(self.model, self.data)
        return snapshot


def _world_xml(scene: Scene, appearance: Appearance, samples: int) -> str:
    rng = appearance.rng

    def rgba(colour: tuple[float, float, float]) -> str:
        return "{:.3f} {:.3f} {:.3f} 1".format(*colour)

    classes = "".join(
        f'<default class="{name}"><geom user="{index}" contype="0" conaffinity="0" mass="1"/></default>'
        for index, name in enumerate(CATEGORIES)
    )
    names = ["table", "wall", *(f"{o.name}_{part}" for o in scene.objects for part in "abc"), "hand_b"]
    textured = {
        "table",
        "wall",
        *(str(n) for n in rng.choice(names[2:], size=min(3, len(names) - 2), replace=False)),
    }
    textures = "".join(
        f'<texture name="{n}" type="2d" builtin="flat" width="{TEXTURE_SIZE}" height="{TEXTURE_SIZE}"/>'
        for n in names
        if n in textured
    )
    materials = "".join(
        f'<material name="{n}" texture="{n}" texrepeat="{_numbers(rng.uniform(1, 3, 2))}" specular="0.2"/>'
        if n in textured
        else f'<material name="{n}" rgba="{rgba(appearance.colour())}" specular="{rng.uniform(0, 0.6):.2f}"/>'
        for n in names
    )
    skin = f'<material name="hand_a" rgba="{rgba(appearance.skin())}" specular="0.1"/>'
    dark = '<material name="dark" rgba="0.03 0.03 0.03 1" specular="0"/>'
    lights = "".join(
        f'<light pos="{_numbers(light.position)}" dir="{_numbers(-light.position)}" '
        f'diffuse="{_numbers([light.brightness] * 3)}" specular="0.2 0.2 0.2" '
        f'castshadow="{str(light.shadows).lower()}"/>'
        for light in appearance.lights
    )
    return f"""
    <mujoco>
      <size nuser_geom="1"/>
      <compiler angle="degree"/>
      <visual>
        <global offwidth="640" offheight="480"/>
        <quality shadowsize="1024" offsamples="{samples}" numslices="20" numstacks="10"/>
        <headlight ambient="{_numbers([appearance.ambient] * 3)}" diffuse="0.15 0.15 0.15" specular="0 0 0"/>
        <map znear="0.02" zfar="10"/>
      </visual>
      <default>{classes}</default>
      <asset>{textures}{materials}{skin}{dark}</asset>
      <worldbody>
        {lights}{_camera_xml(appearance)}
        <geom class="background" type="box" material="table" size="0.75 0.55 0.02" pos="0 0.1 -0.02"/>
        <geom class="background" type="box" material="wall" size="3 0.02 1.5" pos="0 1.2 0.4"/>
        <geom class="background" type="box" material="wall" size="3 3 0.02" pos="0 0 -0.8"/>
        {_distractors_xml(appearance)}
        {hand_xml()}
        {"".join(o.xml() for o in scene.objects)}
      </worldbody>
    </mujoco>"""


def _camera_xml(appearance: Appearance) -> str:
    camera = appearance.camera
    back = camera.position - camera.target
    back = back / np.linalg.norm(back)
    right = np.cross(vector(0, 0, 1), back)
    right = right / np.linalg.norm(right)
    return (
        f'<camera name="camera" pos="{_numbers(camera.position)}" fovy="{camera.field_of_view}" '
        f'xyaxes="{_numbers(right)} {_numbers(np.cross(back, right))}"/>'
    )


def _distractors_xml(appearance: Appearance) -> str:
    """Up to four things of no meaning, at the back and at the sides of the table."""
    rng = appearance.rng
    xml = ""
    for _ in range(int(rng.integers(0, 5))):
        x, y = rng.uniform(-0.45, 0.45), rng.uniform(0.26, 0.42)
        if rng.uniform() < 0.4:
            x, y = rng.choice([-1, 1]) * rng.uniform(0.34, 0.45), rng.uniform(-0.15, 0.3)
        size = rng.uniform(0.015, 0.045, 3)
        kind = str(rng.choice(["box", "cylinder", "sphere", "ellipsoid", "capsule"]))
        rotation = (
            Pose(vector(0, 0, 0)).qpos()[3:]
            if kind == "sphere"
            else [np.cos(a := rng.uniform(0, 3)), 0, 0, np.sin(a)]
        )
        xml += (
            f'<geom class="distractor" type="{kind}" size="{_numbers(size)}" pos="{x} {y} {size[-1]}" '
            f'quat="{_numbers(rotation)}" rgba="{_numbers(appearance.colour())} 1"/>'
        )
    return xml


def _numbers(values: Iterable[float]) -> str:
    return " ".join(f"{float(v):.4f}" for v in values)
