"""Training as a user does it, from drawn videos to heads and their accuracy."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from step_ros.probes import Head

Run = Callable[..., None]

KEYS = {"top1", "top5", "mean_class", "symmetric", "non_symmetric", "reversed_top1", "direction_accuracy"}


def test_extract_train_evaluate(data: Path, run: Run, capsys: pytest.CaptureFixture[str]) -> None:
    store, heads, results = data / "store", data / "heads", data / "results.json"
    run("extract", "--data", data / "clips.csv", "--backbone", data / "backbone", "--frames", 8,
        "--out", store, "--engine", "eager", "--trim", 0.1)  # fmt: skip
    shown = capsys.readouterr().out
    assert "move_left <-> move_right" in shown and "12 clips of 12 videos" in shown
    run("verify", "--store", store)

    options = data / "options.yaml"
    options.write_text("steps: 9\nbatch_size: 8\nnum_heads: 4\ntoken_dropout: 0\nvalidation_share: 0.25\n")
    run("train", "--store", store, "--out", heads, "--tasks", "verb", "direction",
        "--config", options, "--steps", 100, "--hold-out", "scene2")  # fmt: skip
    assert {path.name for path in heads.iterdir()} == {"verb", "direction"}
    card = (heads / "verb" / "README.md").read_text()
    assert "`move_left` and `move_right`" in card and "held out: scene2" in card and "| move_left |" in card
    training = json.loads((heads / "verb" / "training.json").read_text())
    assert training["options"]["steps"] == 100 and training["options"]["batch_size"] == 8
    assert training["options"]["precision"] in ("bfloat16", "float32")  # what `auto` was
    assert Head.from_pretrained(heads / "verb").config.temperature != 1.0

    capsys.readouterr()
    run("evaluate", "--store", store, "--heads", heads, "--json", results,
        "--csv", data / "results.csv", "--markdown", data / "results.md")  # fmt: skip
    shown = capsys.readouterr().out
    assert "judging 4 clips (scene2)" in shown and "before its partner" in shown and "linear" in shown
    found = json.loads(results.read_text())
    assert set(found) == {"verb", "direction"}
    assert all(set(metrics) >= KEYS for metrics in found.values())
    assert found["verb"]["top1"] == 1.0 and found["verb"]["reversed_top1"] == 0.0
    assert found["verb"]["direction_accuracy"] is None and found["direction"]["direction_accuracy"] >= 0.5
    assert found["verb"]["classes"][0]["label"] == "move_left"
    assert (data / "results.csv").read_text().startswith("%,direction (4 clips),")
    assert "## verb" in (data / "results.md").read_text()

    run("evaluate", "--store", store, "--heads", heads, "--split", "train", "--no-yardstick")
    assert "the heads were trained on" in capsys.readouterr().out


def test_processes_adapt_a_backbone_together(data: Path, run: Run) -> None:
    pytest.importorskip("accelerate")
    run("extract", "--data", data / "clips.csv", "--backbone", data / "backbone", "--frames", 4,
        "--out", data / "pixels", "--pixels")  # fmt: skip
    adapter = ["--adapter.kind", "adaptformer", "--adapter.head-steps", "10", "--backbone", "backbone"]
    done = train_together(data, "pixels", "--steps", "10", "--check-every", "10", *adapter)
    assert done.stdout.count("step 10: verb loss") == 2  # of the heads alone, and of all
    run("evaluate", "--store", data / "pixels", "--heads", data / "heads")


def test_processes_train_together_and_show_curves(data: Path, run: Run) -> None:
    pytest.importorskip("accelerate")
    curves = pytest.importorskip("tensorboard.backend.event_processing.event_accumulator")
    run("extract", "--data", data / "clips.csv", "--backbone", data / "backbone", "--frames", 4,
        "--out", data / "store", "--engine", "eager")  # fmt: skip
    done = train_together(data, "store", "--steps", "40", "--check-every", "20", "--tensorboard", "runs")
    assert done.stdout.count("step 40: verb loss") == 1  # the first process speaks for all
    assert Head.from_pretrained(data / "heads" / "verb").config.task == "verb"
    events = curves.EventAccumulator(str(data / "runs"))
    events.Reload()
    first, last = events.Scalars("verb/loss")
    assert (first.step, last.step) == (20, 40) and last.value < first.value


def train_together(data: Path, store: str, *options: str) -> subprocess.CompletedProcess[str]:
    """Train a head for verbs in two processes."""
    launch = [sys.executable, "-m", "accelerate.commands.launch", "--cpu", "--num_processes", "2"]
    train = ["-m", "step_ros.cli", "train", "--store", store, "--tasks", "verb", "--out", "heads"]
    command = [*launch, "--main_process_port", "0", *train, "--batch-size", "8", *options]
    done = subprocess.run(command, cwd=data, capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stderr
    return done


def test_adapter_is_trained_judged_and_reused(
    data: Path, run: Run, capsys: pytest.CaptureFixture[str]
) -> None:
    pixels, heads, other = data / "pixels", data / "heads", data / "other"
    run("extract", "--data", data / "clips.csv", "--backbone", data / "backbone", "--frames", 4,
        "--group", "scene", "--pixels", "--out", pixels)  # fmt: skip
    assert "pixels for" in capsys.readouterr().out
    few = ("--steps", 2, "--batch-size", 4, "--hold-out", "scene2", "--num-heads", 2)
    run("train", "--store", pixels, "--out", heads, "--tasks", "verb", "--backbone",
        data / "backbone", "--adapter.kind", "st_adapter", "--adapter.size", 4,
        "--adapter.head-steps", 2, *few)  # fmt: skip
    assert {path.name for path in heads.iterdir()} == {"verb", "backbone"}
    run("evaluate", "--store", pixels, "--heads", heads, "--json", data / "verb.json")
    assert "judging 4 clips (scene2)" in capsys.readouterr().out
    assert json.loads((data / "verb.json").read_text())["verb"]["reversed_top1"] is not None
    # Another task on the backbone as it is by now, whose adapter sees whole windows.
    run("train", "--store", pixels, "--out", other, "--tasks", "thing", "--probe", "linear",
        "--backbone", heads / "backbone", *few)  # fmt: skip
    run("evaluate", "--store", pixels, "--heads", other, "--backbone", heads / "backbone")
    with pytest.raises(SystemExit):
        run("extract", "--data", data / "clips.csv", "--backbone", heads / "backbone",
            "--out", data / "tokens")  # fmt: skip
    assert "cannot encode the frames of a camera one by one" in capsys.readouterr().err.replace("\n", " ")
