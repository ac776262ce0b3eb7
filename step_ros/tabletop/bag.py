"""Writes a scene as a rosbag2 recording: JPEG images as cameras send them, and the truth on topics."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
from rosbags.rosbag2 import StoragePlugin, Writer

from step_ros.frames.bags.reading import typestore
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
        rosbags.rosbag2.WriterError: `path` exists.
    """
    rng = np.random.default_rng([seed, 99])
    scene = Scene(rng, seconds, num_objects=3, pace=pace)
    appearance = Appearance(rng, split, shadows=1.0)
    store = typestore()
    types = store.types
    Header, Time = types["std_msgs/msg/Header"], types["builtin_interfaces/msg/Time"]
    Image = types["sensor_msgs/msg/CompressedImage"]
    Classification = types["vision_msgs/msg/Classification"]
    Hypothesis = types["vision_msgs/msg/ObjectHypothesis"]

    def header(stamp: int):  # type: ignore[no-untyped-def]
        return Header(Time(stamp // 10**9, stamp % 10**9), FRAME_ID)

    with (
        Writer(path, version=9, storage_plugin=StoragePlugin.MCAP) as writer,
        SceneRenderer(scene, appearance, height=size[0], width=size[1], samples=4) as renderer,
    ):
        images = writer.add_connection(IMAGE_TOPIC, Image.__msgtype__, typestore=store)
        truths = {
            t: writer.add_connection(f"/truth/{t}", Classification.__msgtype__, typestore=store)
            for t in TASKS
        }
        segments = iter(scene.segments)
        upcoming = next(segments, None)
        for index in range(int(scene.seconds * rate)):
            t = index / rate
            stamp = START_NS + round(t * 1e9)
            while upcoming is not None and upcoming.start <= t:
                onset = START_NS + round(upcoming.start * 1e9)
                for task, connection in truths.items():
                    truth = Classification(header(onset), [Hypothesis(upcoming.labels[task], 1.0)])
                    writer.write(connection, stamp, store.serialize_cdr(truth, Classification.__msgtype__))
                upcoming = next(segments, None)
            bgr = cv2.cvtColor(renderer.frame(t), cv2.COLOR_RGB2BGR)
            _, jpeg = cv2.imencode(
                ".jpg", bgr, [cv2.IMWRITE_JPEG_QUALITY, quality, cv2.IMWRITE_JPEG_OPTIMIZE, 1]
            )
            image = Image(header(stamp), "rgb8; jpeg compressed bgr8", jpeg.ravel())
            writer.write(images, stamp, store.serialize_cdr(image, Image.__msgtype__))
    return scene
