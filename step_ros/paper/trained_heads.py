"""Heads that are fitted, judged and described: a folder each, ready for the node."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from safetensors import SafetensorError

from step_ros.atomic_files import new_files
from step_ros.backbones import Backbone
from step_ros.paper.adapters import ALL_ADAPTERS, NAME_READERS
from step_ros.perception.loading import BACKBONE_FOLDER
from step_ros.probes import Head, HeadError
from step_ros.probes.head import CONFIG_FILE
from step_ros.scores.tables import class_rows, markdown_table, metrics_rows
from step_ros.training.checkpoint import remove_checkpoints, tasks_under_way
from step_ros.training.fit import fit
from step_ros.training.fit_options import FitOptions
from step_ros.training.judge import JudgeError, Judgement, judge
from step_ros.training.loop import DivergedError
from step_ros.training.model_card import extend_card, write_provenance
from step_ros.training.processes import is_first_process
from step_ros.training.store import StoredClip, TokenStore


def train_heads(
    opened: TokenStore,
    tasks: Sequence[str],
    out: Path,
    options: FitOptions,
    backbone: str | Path | None = None,
    *,
    overwrite: bool = False,
) -> dict[str, Head]:
    """Fit heads and write their folders, each with a card of what it is and how well it does.

    A head's files take their places together, and checkpoints go once all heads are on the disk: what is
    killed or finds no room goes on from there when it is run again.

    Args:
        opened: what they are trained on.
        tasks: which; all of the store if there are none.
        out: where the folders go; an adapted backbone's is called `backbone`.
        options: how they are trained.
        backbone: folder or hub name of the backbone to adapt, where `options` ask for an adapter.
        overwrite: replace heads, and an adapted backbone, that are there.

    Raises:
        HeadError: there are some already.
        DivergedError: the training did; what it had learnt before is written, if anything.
    """
    chosen = tuple(tasks) or tuple(opened.tasks)
    out.mkdir(parents=True, exist_ok=True)
    if not overwrite and tasks_under_way(out) != list(chosen):
        _check_free(out, (*chosen, BACKBONE_FOLDER) if options.adapter.kind else chosen)
    adapted_to = out / BACKBONE_FOLDER if is_first_process() else None
    fitted = fit(
        opened,
        chosen,
        options,
        checkpoints=out,
        backbone=backbone,
        backbone_out=adapted_to,
        adapters=ALL_ADAPTERS,
        name_readers=NAME_READERS,
    )
    if not is_first_process():
        return fitted.heads
    for task, head in fitted.heads.items():
        judgement = _judge_if_possible(head, opened, fitted.split.validation, fitted.backbone)
        metrics = None if judgement is None else judgement.to_json()
        tables = [] if judgement is None else _card_tables(task, judgement)
        try:
            with new_files(out / task, last=CONFIG_FILE) as draft:
                head.save_pretrained(draft)
                write_provenance(draft, fitted, options, metrics)
                extend_card(draft, head.config, fitted, options, tables)
        except (OSError, SafetensorError) as error:
            raise HeadError(
                f"the heads cannot be written to {out}: {error}. What was learnt is kept beside them: once "
                "there is room, the same command writes them"
            ) from error
    remove_checkpoints(out)
    if fitted.diverged_at is not None:
        raise DivergedError(
            f"the training diverged at step {fitted.diverged_at}; the heads in {out} are those of step "
            f"{fitted.steps}. Train again with a smaller --learning-rate, and --overwrite"
        )
    return fitted.heads


def trained_already(out: Path, names: Sequence[str]) -> list[Path]:
    """The folders of heads, or of a backbone, that are there."""
    return [out / name for name in names if (out / name / "config.json").exists()]


def _check_free(out: Path, names: Sequence[str]) -> None:
    if there := trained_already(out, names):
        raise HeadError(
            f"{', '.join(map(str, there))} would be overwritten; train with --overwrite, or to another folder"
        )


def _judge_if_possible(
    head: Head, store: TokenStore, clips: Sequence[StoredClip], backbone: Backbone | None
) -> Judgement | None:
    try:
        return judge(head, store, clips, backbone) if clips else None
    except JudgeError:  # no clip as long as a window, or none with a label
        return None


def _card_tables(task: str, judgement: Judgement) -> list[tuple[str, str]]:
    return [
        ("Results on the validation clips", markdown_table(metrics_rows({task: judgement.metrics}))),
        ("Classes", markdown_table(class_rows(judgement.report))),
    ]
