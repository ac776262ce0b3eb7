"""A replay in Rerun (https://rerun.io): images, confidences, labels and truth on one time line."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from types import TracebackType
from typing import Any

import cv2

from step_ros.extras import optional_package
from step_ros.runs.replay import ReplayedUpdate
from step_ros.scores.updates import UNLABELLED, TruthTimeline

_QUALITY = 75


class ReplayRerun:
    """Writes a .rrd file while a replay goes on; a context manager.

    Args:
        path: of the file.
        truth: by task.

    Raises:
        MissingPackageError: rerun is not installed.
    """

    def __init__(self, path: Path, truth: Mapping[str, TruthTimeline]) -> None:
        self._rerun = optional_package("rerun", extra="rerun")
        self._recording: Any = self._rerun.RecordingStream("step_ros_replay")
        self._recording.save(path)
        self._truth = truth
        self._shown: dict[str, str] = {}

    def add(self, update: ReplayedUpdate) -> None:
        """Log an update: the image, every task's probabilities, and labels when they change."""
        rerun, recording = self._rerun, self._recording
        recording.set_time("stamp", timestamp=update.perception.stamp_ns / 1e9)
        bgr = cv2.cvtColor(update.frame.rgb, cv2.COLOR_RGB2BGR)
        _, jpeg = cv2.imencode(".jpg", bgr, [cv2.IMWRITE_JPEG_QUALITY, _QUALITY])
        recording.log("camera", rerun.EncodedImage(contents=jpeg.tobytes(), media_type="image/jpeg"))
        for task, prediction in update.perception.predictions.items():
            recording.log(f"{task}/confidence", rerun.Scalars(prediction.confidence))
            self._log_change(f"{task}/said", prediction.label)
            if task in self._truth:
                true = self._truth[task].at(update.perception.stamp_ns)
                self._log_change(f"{task}/true", true)
                if true in prediction.labels:
                    share = prediction.probability(true)
                    recording.log(f"{task}/probability_of_truth", rerun.Scalars(share))
        for announcement in update.announcements:
            if announcement.stable:
                label = announcement.results[0][0] if announcement.results else UNLABELLED
                self._log_change(f"{announcement.task}/stable", label)

    def __enter__(self) -> ReplayRerun:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._recording.disconnect()  # flushes

    def _log_change(self, path: str, label: str) -> None:
        if self._shown.get(path) != label:
            self._shown[path] = label
            self._recording.log(path, self._rerun.TextLog(label or "none"))
