"""Shows how a training goes: a bar, a line a check, and curves for TensorBoard."""

from __future__ import annotations

import logging
from collections.abc import Iterable, Mapping
from contextlib import suppress
from typing import Any

from rich.console import Console
from rich.progress import Progress, TextColumn
from torch import Tensor

from step_ros.extras import optional_package
from step_ros.training.fit_options import FitOptions

_log = logging.getLogger(__name__)


class Display:
    """What a training shows, while it is entered.

    Args:
        options: how many steps there will be, and where TensorBoard's files go.
        console: where the bar is shown.
        step: from which it goes on.
        hidden: show no bar and write no file: another process does.

    Raises:
        MissingPackageError: curves are asked for, and TensorBoard is not installed.
    """

    def __init__(self, options: FitOptions, console: Console, *, step: int, hidden: bool) -> None:
        self._steps = options.steps
        columns = (*Progress.get_default_columns(), TextColumn("{task.fields[state]}"))
        self._bar = Progress(*columns, console=console, disable=hidden)
        self._shown = self._bar.add_task("Fitting heads", total=options.steps, completed=step, state="")
        self._writer: Any = None
        if options.tensorboard is not None and not hidden:
            tensorboard = optional_package("torch.utils.tensorboard", extra="training")
            self._writer = tensorboard.SummaryWriter(str(options.tensorboard))

    def __enter__(self) -> Display:
        self._bar.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._bar.stop()
        if self._writer is not None:
            with suppress(Exception):
                self._writer.close()

    def show_step(self, step: int, losses: Mapping[str, Tensor]) -> None:
        """Losses by task, now and then: reading them waits for a GPU."""
        if step % 10 == 0 or step == self._steps:
            text = " ".join(f"{task} {loss:.3f}" for task, loss in losses.items())
            self._bar.update(self._shown, completed=step, state=text)

    def show_check(self, values: Mapping[str, float], tasks: Iterable[str]) -> None:
        """A point of the curve, see `TrainingState`."""
        if self._writer is not None:
            try:
                for name in values.keys() - {"step"}:
                    self._writer.add_scalar(name.replace(" ", "/", 1), values[name], int(values["step"]))
                self._writer.flush()
            except Exception as error:  # curves are looked at; a training is not lost for them
                _log.warning("no more curves for TensorBoard: %s", error)
                self._writer = None
        parts = []
        for task in tasks:
            accuracy = values.get(f"{task} validation accuracy")
            held_out = "" if accuracy is None else f", validation accuracy {accuracy:.3f}"
            parts.append(f"{task} loss {values[f'{task} loss']:.3f}{held_out}")
        self._bar.console.print(f"step {values['step']:.0f}: " + "; ".join(parts))
