"""Commands from labelled videos to heads and their accuracy: extract, verify, train, evaluate."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Annotated, Any

import tyro
from rich.console import Console

from step_ros.backbones import Backbone, select_engine
from step_ros.frames import ClipSpec
from step_ros.paper.tables import (
    class_rows,
    csv_table,
    markdown_table,
    metrics_rows,
    terminal_table,
)
from step_ros.peft.adapter_folder import load_backbone
from step_ros.perception.loading import BACKBONE_FOLDER
from step_ros.probes import Head
from step_ros.scores.clips import ClipMetrics
from step_ros.training.datasets import ClipsError, ClipSet, read_dataset
from step_ros.training.extract import ExtractOptions, FrameEncoder, estimate_bytes
from step_ros.training.extract import extract as extract_tokens
from step_ros.training.fit import fit, save_heads
from step_ros.training.fit_options import FitOptions, read_options
from step_ros.training.judge import JudgeError, Judgement, judge
from step_ros.training.model_card import extend_card, read_provenance, write_provenance
from step_ros.training.processes import is_first_process
from step_ros.training.raw_patches import RawPatches
from step_ros.training.splits import SplitError, split_clips
from step_ros.training.store import ClipSampling, GridSampling, StoredClip, TokenStore, open_store


def extract(
    data: Path,
    backbone: str,
    out: Path,
    frames: int = 16,
    window: float | None = None,
    trim: float = 0.0,
    dataset: str = "auto",
    tasks: tuple[str, ...] = (),
    group: str | None = None,
    views: int = 1,
    mirror: bool = False,
    dtype: str = "float16",
    pixels: bool = False,
    batch_size: int = 64,
    device: str = "cpu",
    engine: str = "auto",
) -> None:
    """Encode every clip of a data set once, and keep the tokens.

    May be stopped at any time and run again: what is there is kept.

    Args:
        data: csv of clips (video, one column a task; start, end and split if there are), a folder of videos a
            class, a bag with labels, or the folder of a published data set.
        backbone: folder or hub name.
        out: folder of the token store.
        frames: frames of a clip or window, T.
        window: seconds of a window: then whole videos are encoded, at every grid time as in the node, and
            windows slide over them. Without it, the frames are spread over each clip.
        trim: share of each clip to leave out at both ends (without a window).
        dataset: which adapter reads the data; auto looks at what is there.
        tasks: which tasks to keep; all by default.
        group: csv column of what must not be on both sides of a split, such as a scene.
        views: views of each clip to train on; further ones are cropped, recoloured and cut at random.
        mirror: further views may swap left and right.
        dtype: what tokens are kept in: float16, bfloat16 or float32.
        pixels: keep frames as the backbone would see them, instead of its tokens: for training adapters.
        batch_size: frames that the backbone encodes at once.
        device: where the backbone runs.
        engine: what runs it; auto takes the fastest that is right.
    """
    console = Console()
    clip_set = read_dataset(data, dataset, tasks=tasks, group=group)
    sampling = ClipSampling(frames, trim) if window is None else GridSampling(ClipSpec(frames, window))
    if window is not None and trim:
        raise ClipsError("--trim cuts clips, but with --window whole videos are encoded; give one of them")
    options = ExtractOptions(sampling, views, mirror, "uint8" if pixels else dtype, batch_size)
    loaded = load_backbone(backbone, device=device)
    encoder: FrameEncoder = RawPatches(loaded.encoder) if pixels else loaded
    _describe(console, clip_set, estimate_bytes(clip_set, encoder.identity, options))
    if not pixels:
        loaded.engine = select_engine(loaded.encoder, engine)
    store = extract_tokens(clip_set, encoder, options, out)
    videos = len({clip.file for clip in store.clips})
    what = "pixels for" if pixels else "tokens of"
    console.print(f"{out}: {len(store.clips)} clips of {videos} videos, {what} {store.backbone}")
    if store.problems:
        console.print(f"[yellow]{len(store.problems)} left out:")
        for problem in store.problems:
            console.print(f"  {problem}", markup=False, highlight=False)


def verify(store: Path) -> None:
    """Read every file of a token store again, and compare it with what was written.

    Args:
        store: a folder that `step-ros extract` made.
    """
    wrong = open_store(store).verify()
    for line in wrong:
        Console().print(line, markup=False)
    if wrong:
        raise SystemExit(1)
    Console().print(f"{store} is whole")


def train_command(defaults: FitOptions) -> Callable[..., None]:
    """The command `train`, with options that are `defaults` where the command line does not name them."""

    def train(
        store: Path,
        out: Path,
        tasks: tuple[str, ...] = (),
        backbone: str | None = None,
        config: Path | None = None,
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
            options: how.
        """
        train_heads(open_store(store), tasks, out, options, backbone)

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


def train_heads(
    opened: TokenStore,
    tasks: Sequence[str],
    out: Path,
    options: FitOptions,
    backbone: str | Path | None = None,
) -> dict[str, Head]:
    """Fit heads and write their folders, each with a card of what it is and how well it does.

    Args:
        opened: what they are trained on.
        tasks: which; all of the store if there are none.
        out: where the folders go; an adapted backbone's is called `backbone`.
        options: how they are trained.
        backbone: folder or hub name of the backbone to adapt, where `options` ask for an adapter.
    """
    chosen = tuple(tasks) or tuple(opened.tasks)
    adapted_to = out / BACKBONE_FOLDER if is_first_process() else None
    fitted = fit(opened, chosen, options, checkpoints=out, backbone=backbone, backbone_out=adapted_to)
    if not is_first_process():
        return fitted.heads
    save_heads(fitted.heads, out)
    for task, head in fitted.heads.items():
        judgement = _judge_if_possible(head, opened, fitted.split.validation, fitted.backbone)
        metrics = None if judgement is None else judgement.to_json()
        write_provenance(out / task, fitted, options, metrics)
        tables = [] if judgement is None else _card_tables(task, judgement)
        extend_card(out / task, head.config, fitted, options, tables)
    return fitted.heads


def evaluate(
    store: Path,
    heads: Path,
    split: str | None = None,
    hold_out: tuple[str, ...] = (),
    json_file: Annotated[Path | None, tyro.conf.arg(name="json")] = None,
    csv_file: Annotated[Path | None, tyro.conf.arg(name="csv")] = None,
    markdown_file: Annotated[Path | None, tyro.conf.arg(name="markdown")] = None,
    classes: bool = False,
    yardstick: bool = True,
    backbone: str | None = None,
) -> None:
    """Judge heads clip by clip, forwards and backwards, beside an order-blind linear probe.

    Args:
        store: a folder that `step-ros extract` made.
        heads: a folder of heads.
        split: which clips; by default those of the groups that the heads were not trained on, else the test
            split, else all.
        hold_out: groups whose clips are judged.
        json_file: where to write everything.
        csv_file: where to write the table.
        markdown_file: where to write the tables, classes included.
        classes: also show each class, and what it is taken for.
        yardstick: also fit the linear probe, where the store has clips to train it on.
        backbone: what makes tokens of a store of pixels; by default `backbone` beside the heads.
    """
    console = Console()
    opened = open_store(store)
    found = load_heads(heads)
    clips = clips_to_judge(opened, heads, found, split, hold_out, console)
    encoder = None
    if opened.holds_pixels:
        encoder = load_backbone(backbone or heads / BACKBONE_FOLDER, windows=True)
    judgements = {task: judge(head, opened, clips, encoder) for task, head in found.items()}
    results: dict[str, ClipMetrics] = {task: j.metrics for task, j in judgements.items()}
    if yardstick and not opened.holds_pixels:
        results |= _yardstick(opened, list(found), clips)
    rows = metrics_rows(results)
    console.print(terminal_table(rows))
    for task, judgement in judgements.items():
        if classes:
            console.print(terminal_table(class_rows(judgement.report), title=task))
    if json_file is not None:
        content = {task: judgement.to_json() for task, judgement in judgements.items()}
        json_file.write_text(json.dumps(content, indent=2) + "\n", encoding="utf-8")
    if csv_file is not None:
        csv_file.write_text(csv_table(rows), encoding="utf-8")
    if markdown_file is not None:
        parts = [markdown_table(rows)]
        for task, judgement in judgements.items():
            parts += [f"## {task}\n", markdown_table(class_rows(judgement.report))]
        markdown_file.write_text("\n".join(parts), encoding="utf-8")


def load_heads(folder: Path) -> dict[str, Head]:
    """The heads in the folders below one, by task; a backbone beside them is passed by.

    Raises:
        JudgeError: there are none.
    """
    found = {}
    for config in sorted(folder.glob("*/config.json")):
        if (config.parent / "model.safetensors").exists() and "labels" in json.loads(config.read_text()):
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


def _describe(console: Console, clip_set: ClipSet, size: int) -> None:
    videos = len({clip.video for clip in clip_set.clips})
    console.print(
        f"{len(clip_set.clips)} clips of {videos} videos; tokens will take about {size / 1e6:.0f} MB"
    )
    for task, about in clip_set.tasks.items():
        pairs = ", ".join(f"{a} <-> {b}" for a, b in about.symmetric_pairs)
        console.print(
            f"{task}: {len(about.labels)} classes; nearly symmetric: {pairs or 'none'}", highlight=False
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


def _yardstick(
    store: TokenStore, tasks: Sequence[str], clips: Sequence[StoredClip]
) -> dict[str, ClipMetrics]:
    """The linear probe on the first task, where there is something else to train it on."""
    from step_ros.training.linear_probe import mean_pooled_linear_probe

    judged = {id(clip) for clip in clips}
    train = [clip for clip in store.clips if id(clip) not in judged and clip.split in ("", "train")]
    task = next((task for task in tasks if task in store.tasks), None)
    if task is None or len({clip.labels.get(task) for clip in train} - {None}) < 2:
        return {}
    return {f"{task}, by an order-blind linear probe": mean_pooled_linear_probe(store, task, train, clips)}


TOKEN_COMMANDS: dict[str, Callable[..., Any]] = {"extract": extract, "verify": verify, "evaluate": evaluate}
