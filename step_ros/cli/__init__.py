"""`step-ros`: everything that needs no robot.

A file a command. At its top it imports what `--help` needs and no more: torch and its like, which take
seconds, come when the command runs.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Callable
from typing import Any

import tyro
from rich.console import Console

from step_ros.cli.benchmark import benchmark
from step_ros.cli.benchmark_page import benchmark_page
from step_ros.cli.check import check
from step_ros.cli.evaluate import evaluate
from step_ros.cli.export import export
from step_ros.cli.extract import extract
from step_ros.cli.learn import learn
from step_ros.cli.listen import listen
from step_ros.cli.node import node
from step_ros.cli.replay import replay
from step_ros.cli.report import report
from step_ros.cli.reproduce import reproduce
from step_ros.cli.tabletop_bag import tabletop_bag
from step_ros.cli.tabletop_heads import tabletop_heads
from step_ros.cli.tabletop_pretrain import tabletop_pretrain
from step_ros.cli.tabletop_render import tabletop_render
from step_ros.cli.train import options_of, train_command
from step_ros.cli.verify import verify
from step_ros.cli.watch import watch


def commands(arguments: list[str]) -> dict[str, Callable[..., Any]]:
    """Every command by its name, in the order of `step-ros --help`.

    Args:
        arguments: of the command line: a `--config` among them gives `train` its defaults.
    """
    return {
        "check": check,
        "learn": learn,
        "extract": extract,
        "verify": verify,
        "evaluate": evaluate,
        "train": train_command(options_of(arguments)),
        "reproduce": reproduce,
        "replay": replay,
        "node": node,
        "listen": listen,
        "report": report,
        "watch": watch,
        "export": export,
        "benchmark": benchmark,
        "benchmark-page": benchmark_page,
        "tabletop-render": tabletop_render,
        "tabletop-pretrain": tabletop_pretrain,
        "tabletop-bag": tabletop_bag,
        "tabletop-heads": tabletop_heads,
    }


STARTS_AGAIN = "nothing is kept; the same command starts again"

AFTER_AN_INTERRUPTION = {
    "extract": "videos that are encoded are kept; the same command goes on with the others",
    "learn": "tokens that are encoded are kept; the same command goes on with them",
    "train": "what was learnt up to the last check (--check-every) is kept; the same command goes on from it",
    "evaluate": "heads and tokens are as they were; the same command judges from the start",
    "reproduce": "token stores that are whole are kept; the same command runs the rows from the start",
    "replay": "there is no run yet; the same command replays from the start",
    "report": "the run is as it was; the same command writes its page",
    "verify": "the store is as it was; the same command reads it from the start",
    "tabletop-render": "what is rendered is kept; the same command goes on with the rest",
    "tabletop-heads": "films, tokens and training up to the last check are kept; the same command goes on",
}
"""What is kept when a command is interrupted, and what the same command then does; of others, see above."""

_LIBRARIES = ("av.", "cv2", "huggingface_hub.", "rosbags.", "safetensors", "yaml.")
"""Whose errors tell of files, by the beginnings of their modules' names."""


def main() -> None:
    """Run a `step-ros` command; `step-ros --help` lists them.

    What goes wrong with files, options and devices is told in a sentence; of what should never go wrong there
    is a trace, as of all errors where Python runs in its development mode (`python -X dev`).
    """
    if not sys.stdout.isatty():
        os.environ.setdefault("COLUMNS", "140")  # a file or a pipe has no width, and tables need some
    name = sys.argv[1] if len(sys.argv) > 1 else ""
    try:
        tyro.extras.subcommand_cli_from_dict(
            commands(sys.argv[1:]),
            prog="step-ros",
            description="Train, evaluate, replay and watch heads of the step_ros perception node.",
            sort_subcommands=False,
        )
        sys.stdout.flush()
    except KeyboardInterrupt as interruption:
        _say(f"\nstep-ros {name}: interrupted; {AFTER_AN_INTERRUPTION.get(name, STARTS_AGAIN)}")
        raise SystemExit(130) from interruption
    except Exception as error:
        if sys.flags.dev_mode or not _can_be_told(error):
            raise
        _say(f"step-ros {name}: {_sentence(error)}")
        try:
            sys.stdout.flush()
        except OSError:  # what cannot be written now cannot be at the end either
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        raise SystemExit(1) from error


def _can_be_told(error: Exception) -> bool:
    """Whether the error's words are for the user: a trace would only hide what was found and what to do."""
    return isinstance(error, (OSError, ValueError, RuntimeError, MemoryError)) or type(
        error
    ).__module__.startswith(("step_ros.", *_LIBRARIES))


def _sentence(error: Exception) -> str:
    if isinstance(error, MemoryError):
        return f"there is not enough memory ({error})" if str(error) else "there is not enough memory"
    if isinstance(error, OSError) and error.strerror:
        return f"{error.filename}: {error.strerror}" if error.filename else error.strerror
    return str(error) or type(error).__name__


def _say(text: str) -> None:
    Console(stderr=True).print(text, markup=False, highlight=False, soft_wrap=True)
