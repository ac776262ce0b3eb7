"""The commands as a user writes them, from drawn videos to heads, their accuracy and tables."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import cv2
import numpy as np
import pytest

from step_ros.cli import main
from step_ros.probes import Head

from ..tiny_models import save_vit

KEYS = {"top1", "top5", "mean_class", "symmetric", "non_symmetric", "reversed_top1", "direction_accuracy"}


def run(monkeypatch: pytest.MonkeyPatch, *arguments: object) -> None:
    monkeypatch.setattr(sys, "argv", ["step-ros", *map(str, arguments)])
    main()


@pytest.fixture
def data(tmp_path: Path) -> Path:
    """Clips of a square that moves right or left, in three scenes; and a tiny backbone beside them."""
    save_vit(tmp_path / "backbone", hidden_size=32, intermediate_size=64, patch_size=8)
    rows = ["video,scene,verb,thing"]
    for scene in range(3):
        for index in range(4):
            (tmp_path / f"scene{scene}").mkdir(exist_ok=True)
            name, verb = f"scene{scene}/{index}.mp4", ("move_right", "move_left")[index % 2]
            writer = cv2.VideoWriter(str(tmp_path / name), cv2.VideoWriter.fourcc(*"mp4v"), 10, (64, 64))
            for t in range(20):
                x = 2 * (t if verb == "move_right" else 19 - t)
                frame = np.full((64, 64, 3), 40 + 20 * scene + 3 * index, np.uint8)
                frame[20:40, x : x + 16] = (40, 200, 250)
                writer.write(frame)
            writer.release()
            rows.append(f"{name},scene{scene},{verb},{'square' if index < 2 else 'box'}")
    (tmp_path / "clips.csv").write_text("\n".join(rows) + "\n")
    return tmp_path


def test_extract_train_evaluate(
    data: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    store, heads, results = data / "store", data / "heads", data / "results.json"
    run(monkeypatch, "extract", "--data", data / "clips.csv", "--backbone", data / "backbone", "--frames", 8,
        "--out", store, "--engine", "eager", "--trim", 0.1)  # fmt: skip
    shown = capsys.readouterr().out
    assert "move_left <-> move_right" in shown and "12 clips of 12 videos" in shown
    run(monkeypatch, "verify", "--store", store)

    options = data / "options.yaml"
    options.write_text("steps: 9\nbatch_size: 8\nnum_heads: 4\ntoken_dropout: 0\nvalidation_share: 0.25\n")
    run(monkeypatch, "train", "--store", store, "--out", heads, "--tasks", "verb", "direction",
        "--config", options, "--steps", 100, "--hold-out", "scene2")  # fmt: skip
    assert {path.name for path in heads.iterdir()} == {"verb", "direction"}
    card = (heads / "verb" / "README.md").read_text()
    assert "`move_left` and `move_right`" in card and "held out: scene2" in card and "| move_left |" in card
    training = json.loads((heads / "verb" / "training.json").read_text())
    assert training["options"]["steps"] == 100 and training["options"]["batch_size"] == 8
    assert Head.from_pretrained(heads / "verb").config.temperature != 1.0

    capsys.readouterr()
    run(monkeypatch, "evaluate", "--store", store, "--heads", heads, "--json", results,
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

    run(monkeypatch, "evaluate", "--store", store, "--heads", heads, "--split", "train", "--no-yardstick")
    assert "the heads were trained on" in capsys.readouterr().out


def test_processes_adapt_a_backbone_together(data: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("accelerate")
    run(monkeypatch, "extract", "--data", data / "clips.csv", "--backbone", data / "backbone", "--frames", 4,
        "--out", data / "pixels", "--pixels")  # fmt: skip
    adapter = ["--adapter.kind", "adaptformer", "--adapter.head-steps", "10", "--backbone", "backbone"]
    done = train_together(data, "pixels", "--steps", "10", "--check-every", "10", *adapter)
    assert done.stdout.count("step 10: verb loss") == 2  # of the heads alone, and of all
    run(monkeypatch, "evaluate", "--store", data / "pixels", "--heads", data / "heads")


def test_processes_train_together_and_show_curves(data: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("accelerate")
    curves = pytest.importorskip("tensorboard.backend.event_processing.event_accumulator")
    run(monkeypatch, "extract", "--data", data / "clips.csv", "--backbone", data / "backbone", "--frames", 4,
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


def test_reproduce_runs_a_table_on_own_data(
    data: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    run(monkeypatch, "reproduce", "--list")
    shown = capsys.readouterr().out
    assert all(f"table{number}" in shown for number in range(1, 11))
    run(monkeypatch, "reproduce", "table10", "--data", data / "clips.csv", "--backbone", data / "backbone",
        "--stores", data / "stores", "--frames", 4, "--task", "verb", "--rotate", "scene1", "scene2",
        "--seeds", 2, "--fit.steps", 3, "--json", data / "table.json",
        "--markdown", data / "table.md")  # fmt: skip
    shown = capsys.readouterr().out
    assert "skipped: hri30 (give it as --data hri30=FOLDER)" in shown
    (content,) = json.loads((data / "table.json").read_text()).values()
    assert [row["method"] for row in content["rows"]] == [
        "self_attention",
        "self-attention with global CLS",
        "self-attention with temporal PE",
        "step",
    ]
    runs = content["rows"][0]["runs"]
    assert [(r["held_out"], r["seed"]) for r in runs] == [
        ("scene1", 0),
        ("scene1", 1),
        ("scene2", 0),
        ("scene2", 1),
    ]
    assert "±" in (data / "table.md").read_text()


def test_adapter_is_trained_judged_and_reused(
    data: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    pixels, heads, other = data / "pixels", data / "heads", data / "other"
    run(monkeypatch, "extract", "--data", data / "clips.csv", "--backbone", data / "backbone", "--frames", 4,
        "--group", "scene", "--pixels", "--out", pixels)  # fmt: skip
    assert "pixels for" in capsys.readouterr().out
    few = ("--steps", 2, "--batch-size", 4, "--hold-out", "scene2", "--num-heads", 2)
    run(monkeypatch, "train", "--store", pixels, "--out", heads, "--tasks", "verb", "--backbone",
        data / "backbone", "--adapter.kind", "st_adapter", "--adapter.size", 4,
        "--adapter.head-steps", 2, *few)  # fmt: skip
    assert {path.name for path in heads.iterdir()} == {"verb", "backbone"}
    run(monkeypatch, "evaluate", "--store", pixels, "--heads", heads, "--json", data / "verb.json")
    assert "judging 4 clips (scene2)" in capsys.readouterr().out
    assert json.loads((data / "verb.json").read_text())["verb"]["reversed_top1"] is not None
    # Another task on the backbone as it is by now, whose adapter sees whole windows.
    run(monkeypatch, "train", "--store", pixels, "--out", other, "--tasks", "thing", "--probe", "linear",
        "--backbone", heads / "backbone", *few)  # fmt: skip
    run(monkeypatch, "evaluate", "--store", pixels, "--heads", other, "--backbone", heads / "backbone")
    with pytest.raises(SystemExit):
        run(monkeypatch, "extract", "--data", data / "clips.csv", "--backbone", heads / "backbone",
            "--out", data / "tokens")  # fmt: skip
    assert "cannot encode the frames of a camera one by one" in capsys.readouterr().err.replace("\n", " ")


def test_tables_of_adapters(
    data: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    run(monkeypatch, "reproduce", "table4", "--data", data / "clips.csv", "--backbone", data / "backbone",
        "--stores", data / "stores", "--frames", 4, "--task", "verb", "--rotate", "scene1", "--fit.steps", 2,
        "--fit.batch-size", 4, "--fit.adapter.size", 2, "--fit.adapter.head-steps", 2,
        "--rows", "AdaptFormer, linear", "VPT, step", "--json", data / "table.json")  # fmt: skip
    (content,) = json.loads((data / "table.json").read_text()).values()
    methods = ["AdaptFormer, linear", "VPT, step"]
    assert [row["method"] for row in content["rows"]] == methods
    assert all(row["parameters"] > 0 and len(row["training_seconds"]) == 1 for row in content["rows"])
    run(monkeypatch, "reproduce", "table5", "--no-timed", "--markdown", data / "table5.md")
    assert "| STEP | 1 |" in (data / "table5.md").read_text()
    assert "3 views" in capsys.readouterr().out.replace("\n", " ")


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["train", "--store", "nowhere", "--out", "heads"], "not a complete token store"),
        (["extract", "--data", "nowhere.csv", "--backbone", "b", "--out", "o"], "there is no nowhere.csv"),
        (["reproduce", "table11"], "there is no 'table11' to run"),
        (["reproduce", "table6", "--rows", "linear"], "table6 has no row linear; it has step with feed"),
        (["reproduce", "table5", "--size", "vitx"], "there is no backbone 'vitx'"),
        (["train", "--config", "nowhere.yaml", "--store", "s", "--out", "o"], "nowhere.yaml cannot be read"),
    ],
)
def test_errors_are_one_line_without_a_trace(
    arguments: list[str],
    message: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.chdir(tmp_path)
    with pytest.raises(SystemExit) as error:
        run(monkeypatch, *arguments)
    assert error.value.code == 1
    shown = " ".join(capsys.readouterr().err.split())
    assert message in shown and "Traceback" not in shown
