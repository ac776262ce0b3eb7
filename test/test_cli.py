"""Commands, whichever: help that loads nothing heavy, and errors in a line."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from step_ros.cli import main

HEAVY = {
    "accelerate", "av", "cv2", "huggingface_hub", "matplotlib", "mujoco", "onnxruntime", "openvino", "rclpy",
    "rosbags", "scipy", "sklearn", "torch", "torchmetrics", "transformers",
}  # fmt: skip

EVERY_HELP = """
import contextlib, io, json, sys
from step_ros.cli import commands, main

found = {}
for command in ("", *commands([])):
    sys.argv = ["step-ros", *filter(None, [command]), "--help"]
    with contextlib.redirect_stdout(io.StringIO()) as shown, contextlib.suppress(SystemExit):
        main()
    found[command] = {"shown": shown.getvalue(), "modules": [name.split(".")[0] for name in sys.modules]}
json.dump(found, sys.stdout)
"""


def test_no_help_loads_what_only_a_running_command_needs() -> None:
    done = subprocess.run([sys.executable, "-c", EVERY_HELP], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    found = json.loads(done.stdout)
    assert {"", "extract", "train", "evaluate", "replay", "report", "reproduce", "export"} <= set(found)
    for command, at in found.items():
        assert f"usage: step-ros {command}".strip() in at["shown"]
        assert not HEAVY & set(at["modules"]), f"step-ros {command} --help"


def test_options_that_cannot_be_used_are_named_at_once() -> None:
    at_exit = "import atexit, sys; atexit.register(lambda: print(*sys.modules))"
    code = f"{at_exit}; from step_ros.cli import main; main()"
    arguments = ["train", "--config", "nowhere.yaml", "--store", "store", "--out", "heads"]
    done = subprocess.run([sys.executable, "-c", code, *arguments], capture_output=True, text=True)
    assert done.returncode == 1
    assert (
        done.stderr.startswith("step-ros train: nowhere.yaml cannot be read") and "Trace" not in done.stderr
    )
    assert not HEAVY & {name.split(".")[0] for name in done.stdout.split()}


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
    monkeypatch.setattr(sys, "argv", ["step-ros", *arguments])
    with pytest.raises(SystemExit) as error:
        main()
    assert error.value.code == 1
    shown = " ".join(capsys.readouterr().err.split())
    assert message in shown and "Traceback" not in shown
