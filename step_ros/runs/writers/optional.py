"""The files of a run that only whoever asks for them gets."""

from __future__ import annotations

from step_ros.runs.recorder import MakeWriter
from step_ros.runs.writers.rerun import RunRerun
from step_ros.runs.writers.video import RunVideo


def optional_writers(video: bool, rerun: bool) -> dict[str, MakeWriter]:
    """Those that are wanted, by the file's name."""
    files: dict[str, tuple[bool, MakeWriter]] = {
        "annotated.mp4": (video, RunVideo),
        "replay.rrd": (rerun, RunRerun),
    }
    return {name: writer for name, (wanted, writer) in files.items() if wanted}
