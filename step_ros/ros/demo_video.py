"""The demo's video: what the camera saw, what was said about it at that moment, and what was true."""

from __future__ import annotations

from collections.abc import Iterator

import cv2
import numpy as np

from step_ros.frames import ImageError, decode_compressed_image
from step_ros.perception import Perception, Prediction, draw_overlay
from step_ros.perception.overlay import Rgb
from step_ros.ros.listener import Picture, PlannerClient
from step_ros.scores.timeline import TruthTimeline

_GREEN, _RED, _GREY = (110, 220, 120), (255, 110, 100), (200, 200, 200)
_ROW = 22  # pixels


class _Jpeg:
    """A picture, as decode_compressed_image wants it."""

    format = "jpeg"

    def __init__(self, picture: Picture) -> None:
        self.data = picture.jpeg


def annotated_pictures(client: PlannerClient) -> Iterator[tuple[int, Rgb]]:
    """Every camera image that can be decoded, with its stamp, in the order of stamps.

    Over each lie the labels that the planner had when the image came, so a label is seen as late as it was.
    """
    truth = {task: TruthTimeline(changes) for task, changes in client.truth.items()}
    position = dict.fromkeys(client.tasks, -1)
    last_ns = -1
    for picture in sorted(client.pictures, key=lambda picture: picture.received_ns):
        if picture.stamp_ns <= last_ns:
            continue
        last_ns = picture.stamp_ns
        try:
            rgb = decode_compressed_image(_Jpeg(picture))
        except ImageError:  # the node has counted it
            continue
        rgb = rgb[: rgb.shape[0] // 2 * 2, : rgb.shape[1] // 2 * 2]  # video codecs want even sizes
        predictions = {}
        for task in client.tasks:
            updates = client.updates[task]
            while position[task] + 1 < len(updates) and (
                updates[position[task] + 1].received_ns <= picture.received_ns
            ):
                position[task] += 1
            if position[task] >= 0:
                predictions[task] = _prediction(task, client.labels[task], client.top[task][position[task]])
        said = {task: prediction.label for task, prediction in predictions.items()}
        true = {task: timeline.at(picture.stamp_ns) for task, timeline in truth.items()}
        shown = draw_overlay(rgb, Perception(picture.stamp_ns, picture.stamp_ns, predictions, 0))
        _draw_truth(shown, said, {task: label for task, label in true.items() if label})
        yield picture.stamp_ns, shown


def _prediction(task: str, labels: list[str], top: list[tuple[str, float]]) -> Prediction:
    """A prediction from what was published of it: labels that were not named have the probability 0."""
    named = dict(top)
    probabilities = np.array([named.get(label, 0.0) for label in labels], np.float32)
    return Prediction(task, tuple(labels), probabilities)


def _draw_truth(picture: Rgb, said: dict[str, str], true: dict[str, str]) -> None:
    """Write the true labels along the bottom, in place: green where they are what was said, else red."""
    height = picture.shape[0]
    top = height - _ROW * len(true)
    if top < 0:
        return
    picture[top:] = (picture[top:] * 0.35).astype(np.uint8)
    for row, (task, label) in enumerate(true.items()):
        colour = _GREY if task not in said else _GREEN if said[task] == label else _RED
        text = f"truth  {task}: {label}".replace("_", " ")
        baseline = (8, top + _ROW * row + _ROW - 7)
        cv2.putText(picture, text, baseline, cv2.FONT_HERSHEY_SIMPLEX, 0.45, colour, 1, cv2.LINE_AA)
