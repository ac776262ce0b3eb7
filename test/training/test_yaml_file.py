"""YAML by type: what people write by mistake is named, with what they meant."""

from __future__ import annotations

from pathlib import Path

import pytest

from step_ros.training.datasets.clips_csv import TaskDescription
from step_ros.training.fit_options import FitOptions
from step_ros.training.yaml_file import YamlError, meant, read_yaml


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (
            "learning_rate: 1e-3",
            "learning_rate: .*number, found '1e-3'; YAML reads it as text: write it with a point",
        ),
        ("probe: linaer", "unknown probe 'linaer'; did you mean 'linear'"),
        ("steps: 4.0", "steps: .*integer, found 4.0"),
        ("hold_out: scene2", r"hold_out: .*found 'scene2'; write a list, \[scene2\]"),
        ("time_reversal: 'no'", "time_reversal: .*boolean, found 'no'"),
        ("optimizer: on", "optimizer: .*string, found True; YAML takes yes, no, on and off for truth values"),
        ("adapter: {knid: vpt}", "unknown options 'knid'; did you mean 'kind'"),
        ("learning_rte: 0.1", "unknown options 'learning_rte'; did you mean 'learning_rate'"),
        ("steps: .nan", "steps: "),
        ("[1, 2]", "options.yaml: "),
        ("steps: {", "cannot be read"),
        ("steps: 4\nprobe: step\nsteps: 5", r"'steps' is there twice\n.*line 3"),
        ("hold_out: &a [x]\nstart: *a", r"references \(\*\) are not read\n.*line 2"),
        ("on: 4", "the key 'on' is no text for YAML: put it in quotes"),
        ("hold_out: [7]", "hold_out.0: .*string, found 7; put it in quotes"),
        ("seed: 010", "seed: .*integer, found '010'"),
        ("seed: 1:30", "seed: .*integer, found '1:30'"),
        ("seed: 2024-01-01", "seed: .*integer, found '2024-01-01'"),
        ("probe: !!python/object:os.system x", "could not determine a constructor"),
    ],
)
def test_mistakes_are_named(text: str, message: str, tmp_path: Path) -> None:
    path = tmp_path / "options.yaml"
    path.write_text(text)
    with pytest.raises(YamlError, match=message):
        read_yaml(path, FitOptions)


def test_whole_numbers_pass_for_others_and_an_empty_file_for_defaults(tmp_path: Path) -> None:
    path = tmp_path / "options.yaml"
    path.write_text("learning_rate: 1\nhold_out: [scene2, 2024-01-01]\nseed: 1_000\n")
    assert read_yaml(path, FitOptions) == FitOptions(
        learning_rate=1.0, hold_out=("scene2", "2024-01-01"), seed=1000
    )
    path.write_text("")
    assert read_yaml(path, FitOptions) == FitOptions()


def test_labels_that_yaml_takes_for_truth_values(tmp_path: Path) -> None:
    path = tmp_path / "clips.yaml"
    path.write_text("lamp: {labels: [on, off]}")
    with pytest.raises(YamlError, match=r"lamp.labels.0: .*found True; YAML takes yes, no, on and off"):
        read_yaml(path, dict[str, TaskDescription])
    path.write_text("lamp: {labels: ['on', 'off'], symmetric_pairs: [['on', 'off']]}")
    described = read_yaml(path, dict[str, TaskDescription])["lamp"]
    assert described == TaskDescription(("on", "off"), (("on", "off"),))


def test_what_was_meant() -> None:
    assert meant("linaer", ["step", "linear"]) == "; did you mean 'linear'?"
    assert meant("xyz", ["step", "linear"]) == ""
