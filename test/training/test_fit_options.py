"""Options of a training, as a YAML gives them."""

from __future__ import annotations

from pathlib import Path

import pytest

from step_ros.probes import StepOptions
from step_ros.training.adapter_options import AdapterOptions
from step_ros.training.fit_options import FitOptions, OptionsError, read_options


def test_options_come_from_yaml(tmp_path: Path) -> None:
    path = tmp_path / "options.yaml"
    path.write_text("steps: 12\nstep: {position: fixed}\nhold_out: [scene3]\nstart: heads\n")
    options = read_options(path)
    assert options == FitOptions(
        steps=12, step=StepOptions(position="fixed"), hold_out=("scene3",), start=Path("heads")
    )
    for text, message in (
        ("stepz: 12", "unknown options 'stepz'; did you mean 'step'"),
        ("steps: 0", "steps must be at least 1"),
        ("step: {position: sinus}", "unknown position 'sinus'"),
        ("[", "cannot be read"),
        ("- steps", "should be an object|dictionary"),
    ):
        path.write_text(text)
        with pytest.raises(OptionsError, match=message):
            read_options(path)


def test_adapter_in_a_yaml_of_options(tmp_path: Path) -> None:
    path = tmp_path / "options.yaml"
    path.write_text("adapter: {kind: st_adapter, size: 96}\n")
    assert read_options(path).adapter == AdapterOptions("st_adapter", size=96)
    path.write_text("adapter: {kind: st_adapter, head_steps: -1}\n")
    with pytest.raises(OptionsError, match=r"options\.yaml: adapter: head_steps must be at least 0"):
        read_options(path)
