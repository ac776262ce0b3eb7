"""What there is to learn of a store: its windows, by what they are for."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from rich.console import Console

from step_ros.training.fit_options import FitOptions
from step_ros.training.splits import Split, split_clips, untrained_classes
from step_ros.training.store import TokenStore
from step_ros.training.targets import Teaching
from step_ros.training.windows import DIRECTION, Window, with_built_in


@dataclass(frozen=True)
class Lesson:
    """What heads learn from, and are looked at by."""

    store: TokenStore
    """Whose windows they are."""
    teaching: Teaching
    """What they teach, and the tasks."""
    split: Split
    """Which clips are for what."""
    training: list[Window]
    """What batches are drawn from."""
    validation: list[Window]
    """What heads are looked at by, now and then; may be empty."""


def prepare_lesson(store: TokenStore, tasks: Sequence[str], options: FitOptions, console: Console) -> Lesson:
    """Split a store's clips, and cut windows from them; what training lacks is shown.

    Raises:
        TokenStoreError: the store lacks a task.
        SplitError: there are no clips to train on.
    """
    store.check_tasks([task for task in tasks if task != DIRECTION])
    split = split_clips(store, hold_out=options.hold_out, validation_share=options.validation_share)
    for task in tasks:
        for name, classes in untrained_classes(split, task).items():
            console.print(f"[yellow]{task}: {name} has {', '.join(classes)}, which training lacks")
    teaching = make_teaching(store, tasks, options)
    training = store.training_windows(split.of("train"), teaching)
    return Lesson(store, teaching, split, training, store.clip_windows(split.validation))


def make_teaching(store: TokenStore, tasks: Sequence[str], options: FitOptions) -> Teaching:
    """What windows of a store teach the heads of some of its tasks."""
    known = with_built_in(store.tasks)
    return Teaching(
        {task: known[task] for task in tasks},
        time_reversal=options.time_reversal,
        reversal_penalty=options.reversal_penalty,
        lag_seconds=options.lag_seconds,
    )
