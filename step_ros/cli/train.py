"""From a token store to heads: `step-ros train`."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Annotated

import tyro

from step_ros.training.fit_options import FitOptions, read_options


def train_command(defaults: FitOptions) -> Callable[..., None]:
    """The command `train`, with options that are `defaults` where the command line does not name them."""

    def train(
        store: Path,
        out: Path,
        tasks: tuple[str, ...] = (),
        backbone: str | None = None,
        config: Path | None = None,
        overwrite: bool = False,
        options: Annotated[FitOptions, tyro.conf.arg(name="")] = defaults,
    ) -> None:
        """Fit one head a task on the tokens of a store.

        May be stopped at any time and run again: it goes on where it was.

        Args:
            store: a folder that `step-ros extract` made.
            out: where the model folders go, one a task.
            tasks: which to learn, or `direction`: whether a clip runs forwards; all of the store by default.
            backbone: folder or hub name of the backbone to adapt to the tasks, with --adapter.kind and a
                store of pixels; it goes to OUT/backbone.
            config: YAML of options, for those that the command line does not name.
            overwrite: replace heads that are in `out` already.
            options: how.
        """
        from step_ros.paper.trained_heads import train_heads
        from step_ros.training.store import open_store

        train_heads(open_store(store), tasks, out, options, backbone, overwrite=overwrite)

    return train


def options_of(arguments: Sequence[str]) -> FitOptions:
    """The options that a command line's `--config FILE` names, or the defaults.

    Raises:
        OptionsError: the file cannot be used.
    """
    for position, argument in enumerate(arguments):
        name, equals, value = argument.partition("=")
        if name == "--config" and (equals or position + 1 < len(arguments)):
            return read_options(Path(value if equals else arguments[position + 1]))
    return FitOptions()
