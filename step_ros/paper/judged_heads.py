"""How good a folder of heads is on clips of a store, and which clips those are."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from rich.console import Console

from step_ros.paper.adapters import ALL_ADAPTERS
from step_ros.peft.adapter_folder import load_backbone
from step_ros.perception.loading import BACKBONE_FOLDER
from step_ros.probes import Head
from step_ros.scores import clips as clip_scores
from step_ros.scores.clips import ClipScores
from step_ros.scores.verdict import Finding, Gravity, Judged, evaluate
from step_ros.training.judge import JudgeError, Judgement, judge
from step_ros.training.linear_probe import WindowMeans, order_blind_logits
from step_ros.training.model_card import read_provenance
from step_ros.training.pairs_in_data import look_at_pairs
from step_ros.training.splits import SplitError, split_clips
from step_ros.training.store import StoredClip, TokenStore

_NAMED = 8
"""Of clips that are left out so many are named; evaluate.json has all."""


@dataclass(frozen=True)
class JudgedHeads:
    """What a folder of heads is worth."""

    judgements: dict[str, Judgement]
    """By task."""
    yardstick: dict[str, ClipScores]
    """What an order-blind linear probe is worth on the same clips, by what tables call it; may be empty."""
    verdicts: dict[str, list[Finding]]
    """How far to trust each head, by task."""

    @property
    def metrics(self) -> dict[str, ClipScores]:
        """Of all, the yardstick last."""
        return {task: judged.metrics for task, judged in self.judgements.items()} | self.yardstick


def judge_heads(
    store: TokenStore,
    folder: Path,
    split: str | None = None,
    hold_out: tuple[str, ...] = (),
    *,
    yardstick: bool = True,
    backbone: str | Path | None = None,
    console: Console,
) -> JudgedHeads:
    """Judge every head of a folder, forwards and backwards, beside an order-blind linear probe.

    Args:
        store: whose clips.
        folder: of the heads, one a task below it.
        split: which clips; by default those of the groups that the heads were not trained on, else the test
            split, else all.
        hold_out: groups whose clips are judged.
        yardstick: also fit the linear probe, where the store has tokens of other clips to train it on.
        backbone: what makes tokens of a store of pixels; by default `backbone` beside the heads.
        console: where to say which clips are judged.

    Raises:
        HeadError: a head is of another backbone than the store.
        JudgeError: there are no heads, or they and the clips do not go together.
        SplitError: there are no clips.
    """
    heads = heads_below(folder)
    clips = clips_to_judge(store, folder, heads, split, hold_out, console)
    encoder = None
    if store.holds_pixels:
        encoder = load_backbone(backbone or folder / BACKBONE_FOLDER, adapters=ALL_ADAPTERS)
    judgements = {task: judge(head, store, clips, encoder) for task, head in heads.items()}
    _say_what_is_left_out(console, judgements, store)
    blind: dict[str, ClipScores] = {}
    pairs: dict[str, list[Finding]] = {}
    if yardstick and not store.holds_pixels:
        blind, pairs = _yardsticks(store, judgements, clips)
    verdicts = {}
    for task, judgement in judgements.items():
        judged = _with_training(judgement.judged, folder / task, task, clips, store)
        findings = evaluate(judged, order_blind=blind[task].pair_accuracy if task in blind else None)
        verdicts[task] = sorted(
            [*findings, *pairs.get(task, [])], key=lambda each: list(Gravity).index(each.gravity)
        )
    beside = {f"{task}, by an order-blind linear probe": blind[task] for task in list(blind)[:1]}
    return JudgedHeads(judgements, beside, verdicts)


def heads_below(folder: Path) -> dict[str, Head]:
    """The heads in the folders below one, by task; a backbone beside them is passed by.

    Raises:
        JudgeError: there are none.
        HeadError: one cannot be read.
    """
    found = {}
    for config in sorted(folder.glob("*/config.json")):
        if config.parent.name != BACKBONE_FOLDER and (config.parent / "model.safetensors").exists():
            head = Head.from_pretrained(config.parent)
            found[head.config.task] = head
    if not found:
        raise JudgeError(f"{folder} has no heads: expected TASK/config.json, as `step-ros train` writes")
    return found


def clips_to_judge(
    store: TokenStore,
    folder: Path,
    heads: dict[str, Head],
    split: str | None,
    hold_out: tuple[str, ...],
    console: Console,
) -> list[StoredClip]:
    """The clips that heads are judged on, and a warning if they were trained on any of them.

    Raises:
        SplitError: there are none.
    """
    provenances = [p for p in (read_provenance(folder / task) for task in heads) if p is not None]
    known = {name for provenance in provenances for name in provenance.trained_on}
    if not hold_out and split is None and known & {clip.name for clip in store.clips}:
        hold_out = provenances[0].hold_out  # what they were not trained on, of this very store
    parts = split_clips(store, hold_out=hold_out)
    if split is not None:
        clips, what = parts.of(split), split
    elif parts.test:
        clips, what = parts.test, ", ".join(hold_out) or "test"
        if len(clips) == len(store.clips):
            what = "all"
    elif parts.validation:
        clips, what = parts.validation, "validation"
    else:
        raise SplitError(f"{store.root} has only training clips; judge them with --split train, if at all")
    console.print(f"judging {len(clips)} clips ({what})")
    seen = sum(clip.name in known for clip in clips)
    if seen:
        console.print(
            f"[yellow]the heads were trained on {seen} of these clips: this says nothing of new ones"
        )
    return clips


def _with_training(
    judged: Judged, folder: Path, task: str, clips: Sequence[StoredClip], store: TokenStore
) -> Judged:
    """The same answers, with what the head's folder says that it was trained on."""
    provenance = read_provenance(folder)
    if provenance is None:
        return judged
    taught = [clip for clip in store.clips if clip.name in provenance.trained_on]
    trained = Counter(clip.labels[task] for clip in taught if task in clip.labels)
    seen = sum(clip.name in provenance.trained_on for clip in clips)
    return replace(judged, trained=trained or None, seen=seen)


def _say_what_is_left_out(console: Console, judgements: Mapping[str, Judgement], store: TokenStore) -> None:
    left_out: dict[str, list[str]] = {}
    for task, judgement in judgements.items():
        left_out[f"no window of {store.clip.window_seconds:g} s lies in"] = judgement.too_short
        left_out[f"the head of {task} has no class for"] = judgement.unknown
    for why, names in left_out.items():
        if names:
            more = f" and {len(names) - _NAMED} more" if len(names) > _NAMED else ""
            sentence = f"not judged: {why} {len(names)} clips: {', '.join(names[:_NAMED])}{more}"
            console.print(sentence, style="yellow", markup=False, highlight=False)


def _yardsticks(
    store: TokenStore, judgements: Mapping[str, Judgement], clips: Sequence[StoredClip]
) -> tuple[dict[str, ClipScores], dict[str, list[Finding]]]:
    """What the linear probe is worth, and what it says of pairs, by task, where other clips can train it."""
    judged = {id(clip) for clip in clips}
    train = [clip for clip in store.clips if id(clip) not in judged and clip.split in ("", "train")]
    scores: dict[str, ClipScores] = {}
    pairs: dict[str, list[Finding]] = {}
    tasks = [task for task in judgements if task in store.tasks] if train else []
    taught, shown = (WindowMeans.of(store, of if tasks else []) for of in (train, clips))
    for task in tasks:
        of = judgements[task].judged
        logits = order_blind_logits(task, of.labels, taught, shown)
        if logits is not None:
            scores[task] = clip_scores.evaluate(logits, logits, of.targets, of.labels, of.pairs)
            test = shown.labelled(task, of.labels)
            pairs[task] = look_at_pairs(task, of.pairs, taught, test, logits, of.labels, of.recordings)
    return scores, pairs
