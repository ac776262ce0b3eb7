"""`step-ros`: everything that needs no robot."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import tyro

from step_ros.cli.export import export
from step_ros.cli.tabletop import TABLETOP_COMMANDS
from step_ros.cli.tokens import evaluate, extract, train


def main() -> None:
    """Run a `step-ros` command; `step-ros --help` lists them."""
    commands: dict[str, Callable[..., Any]] = {
        "extract": extract,
        "train": train,
        "evaluate": evaluate,
        "export": export,
        **TABLETOP_COMMANDS,
    }
    tyro.extras.subcommand_cli_from_dict(
        commands,
        prog="step-ros",
        description="Train and evaluate heads for the step_ros perception node.",
        sort_subcommands=False,
    )
