"""From a store to heads, and how far to trust them: in closed form, or STEP where that is better."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from rich.console import Console

from step_ros.atomic_files import new_files
from step_ros.probes import Head
from step_ros.probes.head import CONFIG_FILE
from step_ros.scores.verdict import Finding, Judged, evaluate
from step_ros.training.checkpoint import remove_checkpoints
from step_ros.training.fit import fit
from step_ros.training.fit_options import FitOptions
from step_ros.training.judge import JudgeError, judge
from step_ros.training.lesson import Fitted
from step_ros.training.model_card import write_provenance
from step_ros.training.store import TokenStore

LEAST_CLIPS_FOR_STEP = 100
"""Below so many clips STEP is not tried unless it is asked for: a quarter of them would judge it."""

_KEPT_ASIDE = 0.25
"""Share of the recordings that both are compared on."""


@dataclass(frozen=True)
class Learned:
    """A head, and how far to trust it."""

    head: Head
    judged: Judged
    """Its answers to clips that it was not fitted on."""
    findings: list[Finding]
    """What follows from them."""
    choice: str
    """Why it is of this kind, in a sentence."""


def learn(
    store: TokenStore,
    tasks: Sequence[str],
    out: Path,
    options: FitOptions,
    *,
    step: bool | None = None,
    console: Console,
) -> dict[str, Learned]:
    """Fit a head a task, judge it on recordings that it has not seen, and save its folder.

    A moments head is fitted in closed form, which answers for each recording from all others on the way.
    STEP is then trained on three quarters of the recordings and compared with a moments head of the same
    ones; a task gets a STEP head where that is right more often on the rest, and of pairs no less often.

    Args:
        store: of labelled clips.
        tasks: which to learn.
        out: where the model folders go, one a task.
        options: how STEP is trained; what is common to both holds for both.
        step: whether to try STEP; by default where there are `LEAST_CLIPS_FOR_STEP` clips.
        console: where progress is shown.

    Raises:
        TokenStoreError: the store lacks a task.
        SplitError: there are no clips to train on.
    """
    closed = replace(options, probe="moments")
    quick = fit(store, tasks, closed, console=console)
    learned = {
        task: Learned(head, quick.held_out[task], evaluate(quick.held_out[task]), "fitted in closed form")
        for task, head in quick.heads.items()
    }
    _save(quick, closed, out)
    if step or (step is None and len(quick.split.train) >= LEAST_CLIPS_FOR_STEP):
        learned |= _where_step_is_better(store, tasks, out, options, console)
    return learned


def _where_step_is_better(
    store: TokenStore, tasks: Sequence[str], out: Path, options: FitOptions, console: Console
) -> dict[str, Learned]:
    """STEP heads of the tasks in which they beat moments heads of the same clips; these are saved."""
    aside = replace(options, probe="step", validation_share=options.validation_share or _KEPT_ASIDE)
    trained = fit(store, tasks, aside, checkpoints=out, console=console)
    beside = fit(store, tasks, replace(aside, probe="moments"), console=console)
    better = {}
    for task, head in trained.heads.items():
        try:
            own, other = (judge(h, store, trained.split.validation) for h in (head, beside.heads[task]))
        except JudgeError as error:
            console.print(f"[yellow]{task}: STEP cannot be compared, {error}")
            continue
        compared = (
            f"of {own.metrics.clips} clips kept aside STEP names {own.metrics.top1:.0%} right, the head in "
            f"closed form {other.metrics.top1:.0%}"
        )
        console.print(f"{task}: {compared}", highlight=False)
        pairs = (own.metrics.pair_accuracy or 0.0) >= (other.metrics.pair_accuracy or 0.0)
        if own.metrics.top1 > other.metrics.top1 and pairs:
            judged = replace(own.judged, trained=beside.held_out[task].trained)
            better[task] = Learned(head, judged, evaluate(judged), f"trained: {compared}")
    _save(replace(trained, heads={task: each.head for task, each in better.items()}), aside, out)
    remove_checkpoints(out)
    return better


def _save(fitted: Fitted, options: FitOptions, out: Path) -> None:
    for task, head in fitted.heads.items():
        with new_files(out / task, last=CONFIG_FILE) as draft:
            head.save_pretrained(draft)
            write_provenance(draft, fitted, options, None)
