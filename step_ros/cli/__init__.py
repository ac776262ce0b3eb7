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


def main() -> None:
    """Run a `step-ros` command; `step-ros --help` lists them."""
    if not sys.stdout.isatty():
        os.environ.setdefault("COLUMNS", "140")  # a file or a pipe has no width, and tables need some
    try:
        tyro.extras.subcommand_cli_from_dict(
            commands(sys.argv[1:]),
            prog="step-ros",
            description="Train, evaluate, replay and watch heads of the step_ros perception node.",
            sort_subcommands=False,
        )
    except Exception as error:
        if not type(error).__module__.startswith("step_ros."):
            raise
        # The package's own errors say in full what was found and what to do: a trace would only hide that.
        Console(stderr=True).print(f"{type(error).__name__}: {error}", markup=False, highlight=False)
        raise SystemExit(1) from error
