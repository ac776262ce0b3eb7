"""Writes a scene as a rosbag2 recording: JPEG images as cameras send them, and the truth on topics."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np

from step_ros.frames.bags.messages import CLASSIFICATION, COMPRESSED_IMAGE, classification, compressed_image
from step_ros.frames.bags.writing import new_bag
from step_ros.tabletop.appearance import Appearance
from step_ros.tabletop.labels import TASKS
from step_ros.tabletop.render import SceneRenderer
from step_ros.tabletop.scene import Scene

IMAGE_TOPIC = "/camera/image_raw/compressed"
FRAME_ID = "camera_color_optical_frame"
START_NS = 1_700_000_000 * 10**9


def write_scene_bag(
    path: Path,
    *,
    split: str = "test",
    seconds: float = 30.0,
    seed: int = 0,
    pace: float = 1.2,
    rate: float = 30.0,
    size: tuple[int, int] = (480, 640),
    quality: int = 30,
) -> Scene:
    """Render one scene of three objects into an mcap bag.

    Args:
        path: folder of the bag; must not exist.
        split: whose looks the scene has.
        seconds: least duration.
        seed: of everything random.
        pace: how slowly things are done, see `Scene`.
        rate: frames a second.
        size: height and width in pixels.
        quality: of the JPEG images, 1 to 100.

    Returns:
        The scene, with its ground truth.

    Raises:
        ValueError: `seconds` is not above 0.
        rosbags.rosbag2.WriterError: `path` exists.
    """
    if not seconds > 0:
        raise ValueError(f"seconds must be above 0, got {seconds:g}")
    rng = np.random.default_rng([seed, 99])
    scene = Scene(rng, seconds, num_objects=3, pace=pace)
    appearance = Appearance(rng, split, shadows=1.0)
    with (
        new_bag(path) as bag,
        SceneRenderer(scene, appearance, height=size[0], width=size[1], samples=4) as renderer,
    ):
        bag.add_topic(IMAGE_TOPIC, COMPRESSED_IMAGE)
        for task in TASKS:
            bag.add_topic(f"/truth/{task}", CLASSIFICATION)
        segments = iter(scene.segments)
        upcoming = next(segments, None)
        for index in range(int(scene.seconds * rate)):
            t = index / rate
            stamp = START_NS + round(t * 1e9)
            while upcoming is not None and upcoming.start <= t:
                onset = START_NS + round(upcoming.start * 1e9)
                for task in TASKS:
                    truth = classification([(upcoming.labels[task], 1.0)], onset, FRAME_ID)
                    bag.write(f"/truth/{task}", stamp, truth)
                upcoming = next(segments, None)
            bgr = cv2.cvtColor(renderer.frame(t), cv2.COLOR_RGB2BGR)
            _, jpeg = cv2.imencode(
                ".jpg", bgr, [cv2.IMWRITE_JPEG_QUALITY, quality, cv2.IMWRITE_JPEG_OPTIMIZE, 1]
            )
            bag.write(
                IMAGE_TOPIC, stamp, compressed_image(jpeg, "rgb8; jpeg compressed bgr8", stamp, FRAME_ID)
            )
    return scene
