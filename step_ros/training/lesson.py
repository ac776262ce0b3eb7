"""What there is to learn of a store, its windows by what they are for, and what was made of it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

from rich.console import Console

from step_ros.backbones import Backbone
from step_ros.probes import Head
from step_ros.scores.verdict import Judged
from step_ros.training.fit_options import FitOptions
from step_ros.training.splits import Split, SplitError, split_clips, untrained_classes, with_few_examples
from step_ros.training.store import TokenStore
from step_ros.training.windows import DIRECTION, Teaching, Window, with_built_in


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


@dataclass
class Fitted:
    """What a training made."""

    heads: dict[str, Head]
    """By task, in evaluation mode, on the device that they were trained on."""
    split: Split
    """Which clips were for what."""
    steps: int
    """Optimiser steps taken."""
    curve: list[dict[str, float]] = field(default_factory=list)
    """At each check: step, and of each task its training loss and, with validation clips, their loss and
    accuracy."""
    backbone: Backbone | None = None
    """What makes tokens of the store's pixels, adapted or as it was; None where the store holds tokens."""
    diverged_at: int | None = None
    """The step at which the training went astray, after those whose heads are kept; None if it did not."""
    precision: str = ""
    """What the probes were computed in."""
    held_out: dict[str, Judged] = field(default_factory=dict)
    """By task, of heads in closed form: answers to the training clips, each recording's from the others."""
    adapter_parameters: int = 0
    """Parameters of the adapter, and of a text side, that were trained."""


def prepare_lesson(store: TokenStore, tasks: Sequence[str], options: FitOptions, console: Console) -> Lesson:
    """Split a store's clips, and cut windows from them; what training lacks is shown.

    Raises:
        TokenStoreError: the store lacks a task.
        SplitError: there are no clips to train on.
    """
    store.check_tasks([task for task in tasks if task != DIRECTION])
    split = split_clips(store, hold_out=options.hold_out, validation_share=options.validation_share)
    if options.examples_per_class is not None:
        split = with_few_examples(split, tasks[0], options.examples_per_class, seed=options.seed)
    for task in tasks:
        for name, classes in untrained_classes(split, task).items():
            console.print(f"[yellow]{task}: {name} has {', '.join(classes)}, which training lacks")
    known = with_built_in(store.tasks)
    teaching = Teaching(
        {task: known[task] for task in tasks},
        time_reversal=options.time_reversal,
        reversal_penalty=options.reversal_penalty,
        lag_seconds=options.lag_seconds,
    )
    training = store.training_windows(split.of("train"), teaching)
    if not training:
        raise SplitError(
            f"{store.root} has nothing to train on: none of its training clips is as long as a window "
            f"({store.clip.window_seconds:g} s), or none has a label of {', '.join(tasks)}"
        )
    return Lesson(store, teaching, split, training, store.clip_windows(split.validation))
