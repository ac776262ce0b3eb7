"""`step-ros`: everything that needs no robot."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable
from typing import Any

import tyro
from rich.console import Console

from step_ros.backbones import BackboneError, EngineError
from step_ros.cli.benchmark import benchmark, benchmark_page
from step_ros.cli.export import export
from step_ros.cli.replay import replay
from step_ros.cli.report import report
from step_ros.cli.reproduce import reproduce
from step_ros.cli.tabletop import TABLETOP_COMMANDS
from step_ros.cli.tabletop_heads import tabletop_heads
from step_ros.cli.tokens import TOKEN_COMMANDS, options_of, train_command
from step_ros.cli.watch import watch
from step_ros.peft import AdapterError
from step_ros.probes import HeadError
from step_ros.training.datasets import ClipsError
from step_ros.training.fit_options import OptionsError
from step_ros.training.judge import JudgeError
from step_ros.training.splits import SplitError
from step_ros.training.store import TokenStoreError

USER_ERRORS = (
    AdapterError,
    BackboneError,
    ClipsError,
    EngineError,
    HeadError,
    JudgeError,
    OptionsError,
    SplitError,
    TokenStoreError,
)
"""What their messages explain in full, without a trace."""


def main() -> None:
    """Run a `step-ros` command; `step-ros --help` lists them."""
    if not sys.stdout.isatty():
        os.environ.setdefault("COLUMNS", "140")  # a file or a pipe has no width, and tables need some
    try:
        commands: dict[str, Callable[..., Any]] = {
            **TOKEN_COMMANDS,
            "train": train_command(options_of(sys.argv[1:])),
            "reproduce": reproduce,
            "replay": replay,
            "report": report,
            "watch": watch,
            "export": export,
            "benchmark": benchmark,
            "benchmark-page": benchmark_page,
            **TABLETOP_COMMANDS,
            "tabletop-heads": tabletop_heads,
        }
        tyro.extras.subcommand_cli_from_dict(
            commands,
            prog="step-ros",
            description="Train, evaluate, replay and watch heads of the step_ros perception node.",
            sort_subcommands=False,
        )
    except USER_ERRORS as error:
        Console(stderr=True).print(f"{type(error).__name__}: {error}", markup=False, highlight=False)
        raise SystemExit(1) from error
