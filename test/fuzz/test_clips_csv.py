"""Label files: clips or truth, or an error that names the file, whatever somebody typed."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from step_ros.runs.truth import TruthError, read_truth_csv
from step_ros.training.datasets import ClipsError
from step_ros.training.datasets.clips_csv import read_clips_csv

from .mutations import VALUES, cases, mutated

CSV = b"""video,start,end,split,atomic_action,object
monday.mp4,0.0,2.4,train,open,drawer
monday.mp4,2.4,5.1,train,close,drawer
"tues, day.mp4",0,1e2,test,idle,cup
"""
YAML = b"""atomic_action:
  labels: [idle, open, close]
  idle: idle
  symmetric_pairs: [[open, close]]
object: {}
"""


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("clips")


def test_clips(folder: Path) -> None:
    described = st.dictionaries(
        st.sampled_from(["atomic_action", "object", "other"]),
        VALUES | st.dictionaries(st.sampled_from(["labels", "idle", "symmetric_pairs"]), VALUES, max_size=3),
        max_size=3,
    )

    @cases(usually=300)
    @given(csv=mutated([CSV]) | st.just(CSV), beside=st.none() | mutated([YAML]) | described)
    def try_them(csv: bytes, beside: Any) -> None:
        path, yaml_path = folder / "clips.csv", folder / "clips.yaml"
        path.write_bytes(csv)
        yaml_path.unlink(missing_ok=True)
        if beside is not None:
            yaml_path.write_bytes(beside if isinstance(beside, bytes) else yaml.safe_dump(beside).encode())
        try:
            found = read_clips_csv(path)
        except ClipsError as error:
            assert path.stem in str(error)
        else:
            assert found.clips
            for clip in found.clips:
                assert clip.labels
                assert all(label in found.tasks[task].labels for task, label in clip.labels.items())

    try_them()


def test_truth(folder: Path) -> None:
    @cases(usually=300)
    @given(csv=mutated([CSV]))
    def try_them(csv: bytes) -> None:
        path = folder / "truth.csv"
        path.write_bytes(csv)
        try:
            found = read_truth_csv(path, 0, ["atomic_action", "object"], recording=folder / "tues, day.mp4")
        except TruthError as error:
            assert path.stem in str(error)
        else:
            assert found

    try_them()
