"""A run in Rerun (https://rerun.io): images, confidences, labels and truth on one time line."""

from __future__ import annotations

from contextlib import ExitStack
from pathlib import Path
from typing import Any

import cv2

from step_ros.atomic_files import new_file
from step_ros.extras import optional_package
from step_ros.runs.moments import Moment
from step_ros.runs.run import Run

_QUALITY = 75


class RunRerun:
    """Writes a .rrd file while a run goes on; a context manager.

    Args:
        path: of the file.
        run: whose truth is logged beside the labels.

    Raises:
        MissingPackageError: rerun is not installed.
    """

    def __init__(self, path: Path, run: Run) -> None:
        self._rerun = optional_package("rerun", extra="rerun")
        self._recording: Any = self._rerun.RecordingStream("step_ros_run")
        self._file = ExitStack()
        self._recording.save(self._file.enter_context(new_file(path)))
        self._run = run
        self._shown: dict[str, str] = {}

    def add(self, moment: Moment) -> None:
        """Log an update: the image, every task's probabilities, and labels when they change."""
        rerun, recording = self._rerun, self._recording
        perception = self._run.perception(moment.update)
        recording.set_time("stamp", timestamp=perception.stamp_ns / 1e9)
        if moment.frame is not None:
            bgr = cv2.cvtColor(moment.frame.rgb, cv2.COLOR_RGB2BGR)
            _, jpeg = cv2.imencode(".jpg", bgr, [cv2.IMWRITE_JPEG_QUALITY, _QUALITY])
            recording.log("camera", rerun.EncodedImage(contents=jpeg.tobytes(), media_type="image/jpeg"))
        for task, prediction in perception.predictions.items():
            recording.log(f"{task}/confidence", rerun.Scalars(prediction.confidence))
            self._log_change(f"{task}/said", prediction.label)
            if task in self._run.truth:
                true = self._run.truth[task].at(perception.stamp_ns)
                self._log_change(f"{task}/true", true)
                if true in prediction.labels:
                    share = prediction.probability(true)
                    recording.log(f"{task}/probability_of_truth", rerun.Scalars(share))
        for change in moment.update.changes:
            self._log_change(f"{change.task}/stable", change.label)

    def __enter__(self) -> RunRerun:
        return self

    def __exit__(self, *error: Any) -> None:
        self._recording.disconnect()  # flushes
        self._file.__exit__(*error)

    def _log_change(self, path: str, label: str) -> None:
        if self._shown.get(path) != label:
            self._shown[path] = label
            self._recording.log(path, self._rerun.TextLog(label or "none"))
