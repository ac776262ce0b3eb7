"""What people get wrong, of every command and program: a sentence and an exit code, and never a trace."""

from __future__ import annotations

import ast
import errno
import json
import os
import shlex
import shutil
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest

from step_ros.cli import AFTER_AN_INTERRUPTION, commands, main
from step_ros.paper import trained_heads
from step_ros.shared_files import shared_folder
from step_ros.training.checkpoint import Checkpoint

from ..short_bag import first_seconds
from ..tiny_models import save_vit

SETUP = Path(__file__).resolve().parents[2] / "setup.py"

NO_ROS = "source a ROS 2 installation first"

EXTRACT = "extract --data clips.csv --backbone backbone --frames 4 --engine eager"
TRAIN = "train --store store --tasks verb --steps 4 --batch-size 4 --num-heads 2"
REPLAY = "replay bag --models tabletop/object --engine eager"

# By command: its arguments, and what is said of them. `file` is a file, `full` a disk without room.
MISTAKES: dict[str, list[tuple[str, str]]] = {
    "extract": [
        ("extract --data nowhere.csv --backbone backbone --out new", "there is no nowhere.csv"),
        ("extract --data backbone --backbone backbone --out new", "backbone"),
        ("extract --data clips.csv --backbone nowhere/at/all --out new", "no folder nowhere/at/all"),
        ("extract --data clips.csv --backbone file --out new", "file"),
        (f"{EXTRACT} --out file", "file: File exists"),
        (f"{EXTRACT} --out file/new", "file/new: Not a directory"),
        (f"{EXTRACT} --out new --device cuda:99", "device 'cuda:99' cannot be used"),
        (f"{EXTRACT} --out new --device abacus", "device 'abacus' cannot be used"),
        (f"{EXTRACT} --out new --engine steam", "there is no engine 'steam'"),
        (f"{EXTRACT} --out new --dtype int3", "unknown dtype 'int3'"),
        (f"{EXTRACT} --out new --trim 1.5", "trim must be a share from 0 to below 0.5, got 1.5"),
        (f"{EXTRACT} --out new --frames 1", "a clip needs at least 2 frames, got 1"),
        (f"{EXTRACT} --out new --views 0", "views must be at least 1, got 0"),
        (f"{EXTRACT} --out new --batch-size 0", "batch_size must be at least 1, got 0"),
        (f"{EXTRACT} --out new --window 0", "window_seconds must be a finite number"),
        (f"{EXTRACT} --out new --window nan", "window_seconds must be a finite number"),
        (f"{EXTRACT} --out new --window 0.4 --trim 0.1", "give one of them"),
        (f"{EXTRACT} --out new --tasks colour", "colour"),
        (f"{EXTRACT} --out new --group colour", "colour"),
        (f"{EXTRACT} --out new --dataset imagenet", "imagenet"),
        (f"{EXTRACT} --out store --frames 8", "was made otherwise"),
        ("extract --data clips.csv --backbone backbone", "--out"),
    ],
    "check": [
        ("check --data nowhere.csv", "there is no nowhere.csv"),
        ("check --data file", "file"),
        ("check --data clips.csv --tasks colour", "colour"),
        ("check --data clips.csv --window -1", "--window must be above 0 seconds, got -1"),
    ],
    "learn": [
        ("learn --data nowhere.csv --backbone backbone --out new", "there is no nowhere.csv"),
        ("learn --data clips.csv --backbone nowhere/at/all --out new", "no folder nowhere/at/all"),
        ("learn --data clips.csv --backbone backbone --out file", "file/tokens: Not a directory"),
        ("learn --data clips.csv --backbone backbone --out new --device abacus", "device 'abacus'"),
        ("learn --data clips.csv --backbone backbone --out new --steps 0", "steps must be at least 1"),
        ("learn --data clips.csv --backbone backbone --out new --trim 1.5", "trim must be a share"),
    ],
    "node": [
        ("node imagge:=/camera", "did you mean image?"),
        ("node image=/camera", "arguments are written name:=value"),
        ("node autostart:=perhaps", "autostart must be one of true, false"),
        ("node respawn:=true", "respawn is for ros2 launch"),
    ],
    "verify": [
        ("verify --store nowhere", "nowhere is not a complete token store"),
        ("verify --store file", "file is not a complete token store"),
        ("verify --store list", "list is of another format"),
        ("verify --store typed", "typed/manifest.json is not what was written"),
    ],
    "evaluate": [
        ("evaluate --store nowhere --heads heads", "nowhere is not a complete token store"),
        ("evaluate --store store --heads nowhere", "nowhere has no heads"),
        ("evaluate --store store --heads file", "file has no heads"),
        ("evaluate --store store --heads heads --split tset", "no clips of split 'tset'"),
        ("evaluate --store store --heads heads --hold-out mars", "nothing to hold out is called mars"),
        ("evaluate --store store --heads heads --json full", "full cannot be written: No space left"),
        ("evaluate --store store --heads heads --csv full", "full cannot be written: No space left"),
        ("evaluate --store store --heads heads --markdown store", "store is a folder, where a file"),
        ("evaluate --store store --heads heads --markdown file/new", "file: File exists"),
        ("evaluate --store long --heads heads", "no clips as long as a window (60.0 s)"),
        ("evaluate --store list --heads heads", "list is of another format"),
        ("evaluate --store store --heads broken", "broken"),
    ],
    "train": [
        (f"{TRAIN} --out heads", "heads/verb would be overwritten; train with --overwrite"),
        (f"{TRAIN} --out file", "file: File exists"),
        (f"{TRAIN} --out new --device cuda:99", "device 'cuda:99' cannot be used"),
        (f"{TRAIN} --out new --validation-share 1.5", "validation_share must be a share from 0 to below 1"),
        (f"{TRAIN} --out new --token-dropout 1.5", "token_dropout must be a share"),
        (f"{TRAIN} --out new --hold-out mars", "nothing to hold out is called mars"),
        (f"{TRAIN} --out new --probe linaer", "linaer"),
        (f"{TRAIN} --out new --optimizer sgd", "unknown optimizer 'sgd'"),
        (f"{TRAIN} --out new --normalization batch", "unknown normalization 'batch'"),
        (f"{TRAIN} --out new --adapter.kind vpt_deep", "adapters are trained on pixels"),
        (f"{TRAIN} --out new --adapter.kind lora", "lora"),
        (f"{TRAIN} --out new --start nowhere", "nowhere"),
        (f"{TRAIN} --out new --learning-rate 1e30", "the training diverged: at step 4"),
        (f"{TRAIN} --out new --num-heads 0", "num_heads"),
        (f"{TRAIN} --out new --token-pooling 3", "3"),
        ("train --store store --tasks colour --out new", "colour"),
        ("train --store nowhere --out new", "nowhere is not a complete token store"),
        ("train --store list --out new", "list is of another format"),
        ("train --store typed --out new", "typed/manifest.json is not what was written"),
        (
            "train --store long --out new",
            "long has nothing to train on: none of its training clips is as long",
        ),
        ("train --store store --out new --config nowhere.yaml", "nowhere.yaml cannot be read"),
        ("train --store store --out new --config file", "file: Input should be an object"),
        ("train --store store --out new --steps many", "steps"),
    ],
    "reproduce": [
        ("reproduce table11", "there is no 'table11' to run"),
        ("reproduce table6 --rows linear", "table6 has no row linear"),
        ("reproduce table6", "no data: name data sets by --data"),
        ("reproduce table6 --data nowhere", "nowhere"),
        ("reproduce table6 --store nowhere", "nowhere is not a complete token store"),
        ("reproduce table6 --store store --task colour", "colour"),
        ("reproduce table6 --store store --rotate mars", "mars"),
        ("reproduce table6 --store store --seeds 0", "seeds"),
        ("reproduce table6 --store store --json backbone", "backbone is a folder, where a file"),
        ("reproduce table5 --size vitx", "there is no backbone 'vitx'"),
        ("reproduce table5 --no-timed --size vits14 --json full", "full cannot be written: No space left"),
        ("reproduce figure4 --no-timed --size vits14 --figure file/new.png", "file: File exists"),
        ("reproduce table5 --size vits14 --device cuda:99", "device 'cuda:99' cannot be used"),
    ],
    "replay": [
        ("replay nowhere --out new", "nowhere does not exist; expected a bag"),
        ("replay file --out new", "file is not a ROS 2 bag"),
        (f"{REPLAY} --out file", "file: File exists"),
        (f"{REPLAY} --out new --image-topics /sonar", "/sonar"),
        (f"{REPLAY} --out new --rate -1", "--rate must not be negative, got -1"),
        (f"{REPLAY} --out new --rate nan", "--rate must not be negative, got nan"),
        (f"{REPLAY} --out new --device cuda:99", "device 'cuda:99' cannot be used"),
        (f"{REPLAY} --out new --truth-csv nowhere.csv", "nowhere.csv cannot be read"),
        (f"{REPLAY} --out new --params-file file", "file"),
        ("replay bag --models nowhere/at/all --out new", "no folder nowhere/at/all"),
        ("replay bag --models tabletop/object --backbone backbone --out new", "was trained on the backbone"),
        ("replay bag --models tabletop/object --engine steam --out new", "steam"),
    ],
    "listen": [
        ("listen --node /nobody --out file --start-timeout 0.1", "file"),
        ("listen /nobody --out new --start-timeout 0.1", "/nobody was not ready"),
    ],
    "report": [
        ("report nowhere", "nowhere is not the folder of a finished run"),
        ("report bag", "bag is not the folder of a finished run"),
        ("report list", "list is not the folder of a finished run"),
        ("report typed", "typed is not the folder of a finished run"),
        ("report run --pairs open close", "open / close is no nearly symmetric pair"),
        ("report full_run", "No space left on device"),
    ],
    "watch": [("watch 'no name!' --seconds 0.2", "no name!")],
    "export": [
        ("export --backbone nowhere/at/all --out new", "no folder nowhere/at/all"),
        ("export --backbone broken --out new", "broken"),
        ("export --backbone backbone --out file", "file: File exists"),
    ],
    "benchmark": [
        ("benchmark --preset abacus", "there is no preset 'abacus'"),
        ("benchmark --json backbone", "backbone is a folder, where a file"),
        ("benchmark --engine steam --limit 0", "there is no engine 'steam'"),
    ],
    "benchmark-page": [
        ("benchmark-page --results nowhere.json", "nowhere.json"),
        ("benchmark-page --results file", "file"),
    ],
    "tabletop-render": [
        ("tabletop-render --out file", "file"),
        ("tabletop-render --out new --workers 0", "Number of processes must be at least 1"),
        ("tabletop-render --out new --train -1 --validation 0 --test 0 --stills 0", "train"),
    ],
    "tabletop-pretrain": [
        ("tabletop-pretrain --data nowhere --out new", "nowhere"),
        ("tabletop-pretrain --data nowhere --out file", "nowhere"),
    ],
    "tabletop-bag": [
        ("tabletop-bag --out file", "file"),
        ("tabletop-bag --out new --split tset", "tset"),
        ("tabletop-bag --out new --seconds 0", "seconds"),
    ],
    "tabletop-heads": [
        ("tabletop-heads --out file", "file"),
        ("tabletop-heads --out new --workers 0", "Number of processes must be at least 1"),
        ("tabletop-heads --out new --steps 0", "steps must be at least 1"),
    ],
}


def run(line: str) -> object:
    """The exit code of a command, in this process."""
    before = sys.argv
    sys.argv = ["step-ros", *shlex.split(line)]
    try:
        main()
    except SystemExit as end:
        return end.code
    finally:
        sys.argv = before
    return 0


@pytest.fixture(scope="module")
def prepared(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """A folder with what works, and what is broken beside it; the working folder meanwhile."""
    folder, before = tmp_path_factory.mktemp("mistakes"), Path.cwd()
    os.chdir(folder)
    save_vit(folder / "backbone", hidden_size=32, intermediate_size=64, patch_size=8)
    rows = ["video,scene,verb"]
    for index in range(8):
        name, verb = f"{index}.mp4", ("move_right", "move_left")[index % 2]
        writer = cv2.VideoWriter(name, cv2.VideoWriter.fourcc(*"mp4v"), 10, (64, 64))
        for t in range(12):
            frame = np.full((64, 64, 3), 40 + index, np.uint8)
            x = 3 * (t if verb == "move_right" else 11 - t)
            frame[20:40, x : x + 16] = (40, 200, 250)
            writer.write(frame)
        writer.release()
        rows.append(f"{name},scene{index % 3},{verb}")
    Path("clips.csv").write_text("\n".join(rows) + "\n")
    Path("file").write_text("no more than words")
    Path("full").symlink_to("/dev/full")
    assert run(f"{EXTRACT} --out store") == 0
    assert run(f"{EXTRACT} --window 60 --out long") == 0
    assert run(f"{TRAIN} --out heads") == 0
    first_seconds(shared_folder() / "bags" / "tabletop", folder / "bag", 2.5)
    assert run(f"{REPLAY} --out run") == 0
    shutil.copytree("run", "full_run")
    Path("full_run/report.html").symlink_to("/dev/full")
    for name, content in {
        "list": [1],
        "typed": {"format": 2, "sampling": 3, "clips": {"a": 1}, "tasks": 7},
    }.items():
        Path(name).mkdir()
        for file in ("manifest.json", "header.json", "run.json", "predictions.jsonl"):
            Path(name, file).write_text(json.dumps(content))
    Path("broken/verb").mkdir(parents=True)
    for file in ("config.json", "model.safetensors"):
        Path("broken", file).write_text("[" * 9)
        Path("broken/verb", file).write_text("[" * 9)
    yield folder
    os.chdir(before)


def test_every_command_has_its_mistakes() -> None:
    assert set(MISTAKES) == set(commands([])), "a new command needs rows in MISTAKES"


@pytest.mark.parametrize("command", MISTAKES)
def test_a_mistake_is_told_in_a_sentence(
    command: str, prepared: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    there = sorted(path.name for path in prepared.iterdir())
    wrong = []
    for line, words in MISTAKES[command]:
        capfd.readouterr()
        try:
            code = run(line)
        except Exception as error:
            wrong.append(f"{line}: a trace, {type(error).__name__}: {error}")
            continue
        shown = "".join(capfd.readouterr())
        flat = " ".join(shown.replace("│", " ").split())
        if code in (0, None) or "Traceback" in shown:
            wrong.append(f"{line}: exit code {code}: {flat}")
        elif words not in flat and NO_ROS not in flat:
            wrong.append(f"{line}: {words!r} is not said: {flat}")
        shutil.rmtree("new", ignore_errors=True)
    assert not wrong, "\n".join(wrong)
    assert sorted(path.name for path in prepared.iterdir()) == there


PROGRAMS_WITHOUT_ROS = """
import importlib, sys

class NoRos:
    def find_spec(self, name, path=None, target=None):
        if name.split(".")[0] == "rclpy":
            raise ModuleNotFoundError(f"No module named {name!r}", name=name)

sys.meta_path.insert(0, NoRos())
for entry in sys.argv[1:]:
    name, _, place = entry.partition("=")
    module, _, function = place.strip().partition(":")
    given = [[], ["--help"], ["-h"]]
    if name.strip() == "step-ros":
        given = [["watch"], ["listen", "--out", "new"], ["node"]]
    for arguments in given:
        sys.argv = [name.strip(), *arguments]
        try:
            code = getattr(importlib.import_module(module), function)()
        except SystemExit as end:
            code = end.code
        print(name.strip(), *arguments, code, flush=True)
"""


def entry_points() -> list[str]:
    """The programs that setup.py installs."""
    for node in ast.walk(ast.parse(SETUP.read_text())):
        if isinstance(node, ast.keyword) and node.arg == "entry_points":
            found: dict[str, list[str]] = ast.literal_eval(node.value)
            return found["console_scripts"]
    raise AssertionError("setup.py has no entry points")


def test_every_program_says_that_there_is_no_ros(tmp_path: Path) -> None:
    entries = entry_points()
    done = subprocess.run(
        [sys.executable, "-c", PROGRAMS_WITHOUT_ROS, *entries],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        env={**os.environ, "PYTHONPATH": str(SETUP.parent)},
    )
    assert "Traceback" not in done.stderr and done.returncode == 0, done.stderr
    ends = done.stdout.splitlines()
    assert len(ends) == 3 * len(entries) and all(line.endswith(" 1") for line in ends), done.stdout
    told = [line for line in done.stderr.splitlines() if line]
    assert len(told) == len(ends) and all(f"there is no rclpy; {NO_ROS}" in line for line in told)


def interrupt_when(there: Callable[[], object]) -> threading.Thread:
    """Sends what Ctrl-C sends, once something is there."""

    def wait_and_send() -> None:
        end = time.monotonic() + 120
        while not there() and time.monotonic() < end:
            time.sleep(0.002)
        os.kill(os.getpid(), signal.SIGINT)

    thread = threading.Thread(target=wait_and_send, daemon=True)
    thread.start()
    return thread


def interrupted(
    line: str, there: Callable[[], object], capfd: pytest.CaptureFixture[str], words: str
) -> None:
    capfd.readouterr()
    thread = interrupt_when(there)
    code = run(line)
    thread.join()
    shown = capfd.readouterr()
    assert code == 130, shown
    assert f"interrupted; {AFTER_AN_INTERRUPTION[line.split()[0]]}" in " ".join(shown.err.split())
    assert words in shown.err and "Traceback" not in shown.out + shown.err


def test_extract_goes_on_after_an_interruption(prepared: Path, capfd: pytest.CaptureFixture[str]) -> None:
    tokens = Path("again/tokens")
    interrupted(f"{EXTRACT} --out again", lambda: [*tokens.glob("*.safetensors")], capfd, "goes on")
    kept = {path: path.stat().st_mtime_ns for path in tokens.glob("*.safetensors")}
    assert 0 < len(kept) < 8
    assert run(f"{EXTRACT} --out again") == 0
    assert all(path.stat().st_mtime_ns == time_ns for path, time_ns in kept.items())
    assert len([*tokens.glob("*.safetensors")]) == 8


def test_train_goes_on_after_an_interruption(prepared: Path, capfd: pytest.CaptureFixture[str]) -> None:
    line = f"{TRAIN.replace('--steps 4', '--steps 400')} --check-every 5 --out halted"
    interrupted(line, Path("halted/checkpoint.safetensors").exists, capfd, "goes on")
    assert not Path("halted/verb").exists()
    assert run(line) == 0
    assert "going on from step" in capfd.readouterr().out
    assert [path.name for path in Path("halted").iterdir()] == ["verb"]


def test_heads_are_overwritten_when_that_is_asked_for(prepared: Path) -> None:
    assert run(f"{TRAIN} --out replaced") == 0
    before = Path("replaced/verb/config.json").stat().st_mtime_ns
    assert run(f"{TRAIN} --out replaced") == 1
    assert Path("replaced/verb/config.json").stat().st_mtime_ns == before
    assert run(f"{TRAIN.replace('verb', 'scene')} --out replaced") == 0  # another task's head
    assert run(f"{TRAIN} --out replaced --overwrite") == 0
    assert Path("replaced/verb/config.json").stat().st_mtime_ns > before


def test_a_full_disk_at_the_end_of_a_training_costs_nothing_that_was_learnt(
    prepared: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    line = f"{TRAIN} --out filled"

    def no_room(*_: object) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    with monkeypatch.context() as patch:
        patch.setattr(trained_heads, "write_provenance", no_room)
        assert run(line) == 1
    shown = capfd.readouterr().err
    assert "the heads cannot be written to filled" in shown and "Traceback" not in shown
    loads: list[int] = []
    load = Checkpoint.load

    def note(self: Checkpoint) -> tuple[int, dict[str, Any]]:
        found = load(self)
        loads.append(found[0])
        return found

    monkeypatch.setattr(Checkpoint, "load", note)
    assert run(line) == 0 and loads == [4]


@pytest.mark.parametrize(
    ("line", "module", "call"),
    [
        ("evaluate --store store --heads heads", "step_ros.paper.judged_heads", "judge"),
        (f"{REPLAY} --out halted_run", "step_ros.runs.replay", "Moment"),
        ("report run", "step_ros.report.report", "render"),
        ("verify --store store", "step_ros.training.store.token_store", "read_tokens"),
    ],
)
def test_what_is_quickly_done_again_says_so(
    line: str,
    module: str,
    call: str,
    prepared: Path,
    monkeypatch: pytest.MonkeyPatch,
    capfd: pytest.CaptureFixture[str],
) -> None:
    import importlib

    place = importlib.import_module(module)
    real, reached = getattr(place, call), threading.Event()

    def reach(*given: Any, **named: Any) -> Any:
        if not reached.is_set():
            reached.set()
            time.sleep(1)  # until the signal has come
        return real(*given, **named)

    monkeypatch.setattr(place, call, reach)
    interrupted(line, reached.is_set, capfd, "the same command")
    assert run(line) == 0
