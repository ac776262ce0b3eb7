"""What `--help` costs: nothing that takes seconds to import."""

from __future__ import annotations

import json
import subprocess
import sys

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
    assert done.stderr.startswith("OptionsError: nowhere.yaml cannot be read") and "Trace" not in done.stderr
    assert not HEAVY & {name.split(".")[0] for name in done.stdout.split()}
