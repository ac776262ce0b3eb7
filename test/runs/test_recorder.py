"""What is asked for besides a run never costs the run."""

from __future__ import annotations

from pathlib import Path

import pytest

from step_ros.perception import Perceiver
from step_ros.runs.moments import Moment
from step_ros.runs.recorder import not_written
from step_ros.runs.replay import choose_image_topic
from step_ros.runs.replay_run import TruthSource, replay_to_run
from step_ros.runs.run import Run, read_run
from step_ros.runs.settings import ReplaySettings
from step_ros.runs.writers.video import RunVideo


class Failing:
    """Writes something, and then fails: at an update, or at the end."""

    def __init__(self, path: Path, run: Run, at: str) -> None:
        path.write_text("half of a file")
        self._at = at

    def add(self, moment: Moment) -> None:
        if self._at == "an update":
            raise OSError(28, "No space left on device")

    def __enter__(self) -> Failing:
        return self

    def __exit__(self, *_: object) -> None:
        if self._at == "the end":
            raise OSError(28, "No space left on device")


@pytest.mark.parametrize("at", ["an update", "the end"])
def test_a_by_product_that_fails_is_named_and_the_run_is_whole(
    at: str, recording: Path, perceiver: Perceiver, settings: ReplaySettings, tmp_path: Path
) -> None:
    topic = choose_image_topic(recording, None)
    metrics = replay_to_run(recording, topic, perceiver, settings, TruthSource(), tmp_path / "without")
    also = {"half.mp4": lambda path, run: Failing(path, run, at), "annotated.mp4": RunVideo}
    found = replay_to_run(recording, topic, perceiver, settings, TruthSource(), tmp_path / "with", also=also)
    assert set(found) == set(metrics) and found["coverage"] == metrics["coverage"]
    run = read_run(tmp_path / "with")
    assert len(run.updates) == len(read_run(tmp_path / "without").updates)
    assert [warning for warning in run.warnings if "half.mp4" in warning] == [
        f"{tmp_path / 'with' / 'half.mp4'} cannot be written: [Errno 28] No space left on device; "
        "the run goes on without it"
    ]
    assert not_written(also, tmp_path / "with") == ["half.mp4"]
