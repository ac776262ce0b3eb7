"""What does an annotated image cost? CPU time of drawing and encoding one, beside encoding the picture alone.

python benchmarks/annotated_image.py
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable

import cv2
import numpy as np

from step_ros.perception import Perception, Prediction, draw_overlay
from step_ros.perception.window_strip import WindowStrip

SIZES = ((320, 240), (640, 480), (1280, 720), (1920, 1080))
LABELS = tuple(f"put_down_object_{number}" for number in range(19))


def main() -> None:
    """Print a row a size."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--frames", type=int, default=200)
    parser.add_argument("--quality", type=int, default=80)
    options = parser.parse_args()
    cv2.setNumThreads(1)
    print(f"{'size':>10} {'annotated':>11} {'JPEG alone':>11} {'ratio':>6}   (CPU ms a frame, median)")
    for width, height in SIZES:
        picture = camera_picture(width, height)
        strip = WindowStrip()
        for step in range(16):
            strip.add(step * 10**8, picture)
        stamps = iter(range(16 * 10**8, (17 + options.frames) * 10**8, 10**8))

        def annotate(
            picture: np.ndarray = picture, strip: WindowStrip = strip, stamps: object = stamps
        ) -> None:
            stamp_ns = next(stamps)  # type: ignore[call-overload]
            strip.add(stamp_ns, picture)
            thumbnails = strip.thumbnails(stamp_ns - 15 * 10**8, picture.shape[1])
            encode(draw_overlay(picture, perception(stamp_ns), thumbnails=thumbnails), options.quality)

        annotated = median_ms(annotate, options.frames)
        alone = median_ms(lambda picture=picture: encode(picture, options.quality), options.frames)
        print(f"{width:>5}x{height:<4} {annotated:>11.2f} {alone:>11.2f} {annotated / alone:>6.2f}")


def camera_picture(width: int, height: int) -> np.ndarray:
    """A picture with edges and texture, as hard to encode as a camera's: uint8 (H, W, 3)."""
    rng = np.random.default_rng(0)
    coarse = rng.integers(0, 256, (height // 16, width // 16, 3), dtype=np.uint8)
    picture = cv2.resize(coarse, (width, height), interpolation=cv2.INTER_CUBIC).astype(np.int16)
    return np.clip(picture + rng.normal(0, 4, picture.shape), 0, 255).astype(np.uint8)


def perception(stamp_ns: int) -> Perception:
    """What is written on it: three tasks."""
    probabilities = np.full(len(LABELS), 0.3 / (len(LABELS) - 1), np.float32)
    probabilities[3] = 0.7
    tasks = ("fine_grained_action", "atomic_action", "object")
    predictions = {task: Prediction(task, LABELS, probabilities) for task in tasks}
    return Perception(stamp_ns, stamp_ns - 15 * 10**8, predictions, 0)


def encode(rgb: np.ndarray, quality: int) -> None:
    """As the node does."""
    cv2.imencode(".jpg", cv2.cvtColor(rgb, cv2.COLOR_RGB2BGR), [cv2.IMWRITE_JPEG_QUALITY, quality])


def median_ms(run: Callable[[], None], times: int) -> float:
    """CPU time of this process."""
    taken = []
    for _ in range(times):
        start = time.process_time_ns()
        run()
        taken.append((time.process_time_ns() - start) / 1e6)
    return float(np.median(taken))


if __name__ == "__main__":
    main()
