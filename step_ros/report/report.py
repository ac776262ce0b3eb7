"""Puts a run's page together."""

from __future__ import annotations

import base64
import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from step_ros.atomic_files import write_text
from step_ros.frames import BagError
from step_ros.perception import Perceiver
from step_ros.report.attention_pictures import attention_rows
from step_ros.report.confusion_figures import confusion_figure, pair_matrices
from step_ros.report.cost import Cost, cost_figure, measure_cost
from step_ros.report.distribution_figures import latency_histogram, reliability_diagram
from step_ros.report.pair_figures import confusion_in_time, tsne_maps
from step_ros.report.scored import scored, words
from step_ros.report.second_look import SecondLook, jpeg, look_again
from step_ros.report.tables import (
    SCORES,
    Table,
    accuracy_table,
    all_tables,
    class_table,
    live_table,
    order_table,
    pace_table,
    symmetric_table,
)
from step_ros.report.template import PAGE, render_page
from step_ros.report.timeline import timeline_data, timeline_drawing
from step_ros.runs.run import METRICS, REPLAY, REPORT, Run, read_run
from step_ros.runs.settings import read_settings
from step_ros.scores.pace import PaceScores
from step_ros.scores.score import described, value_at

PAIRS_SHOWN = 3
"""Pairs with attention maps and t-SNE, unless others are asked for: those that were seen longest."""

_STRIP = 10  # pictures of the film strip on paper


@dataclass
class Section:
    """A part of the page."""

    id: str
    """For links."""
    title: str
    """Its heading."""
    text: str = ""
    """What is to be seen in it."""
    figures: list[str] = field(default_factory=list)
    """SVG elements."""
    tables: list[Table] = field(default_factory=list)
    """Tables."""
    pictures: list[dict[str, Any]] = field(default_factory=list)
    """Attention examples: a caption, and strips with their names."""


def write_report(
    folder: Path,
    *,
    bag: Path | None = None,
    pairs: Sequence[tuple[str, str]] = (),
    on_progress: Callable[[str, float], None] = lambda what, share: None,
) -> Path:
    """Write ``report.html`` into the folder of a run.

    Args:
        folder: what `step-ros replay` or `step-ros listen` wrote.
        bag: the recording, if it is not where it was.
        pairs: which nearly symmetric pairs to look at closely; by default those that were seen longest.
        on_progress: called with what is being done and how much of it is.

    Returns:
        The page's path.

    Raises:
        RunError: the folder is no finished run.
        ValueError: a pair is none of the heads'.
    """
    run = read_run(folder)
    metrics = json.loads((folder / METRICS).read_text(encoding="utf-8"))
    chosen = choose_pairs(run, pairs)
    notes = list(run.warnings)
    look, cost = SecondLook(), None
    try:
        on_progress("loading the models", 0.0)
        perceiver = _perceiver(run)
        cost = measure_cost(perceiver)
        total = max(1, run.frames.get("received", 0))
        look = look_again(
            run,
            _recording(run, bag),
            run.image_topic,
            perceiver,
            chosen,
            lambda count: on_progress("reading the recording", count / total),
        )
    except (BagError, OSError, ValueError, RuntimeError) as error:
        # The recording or the models are elsewhere now: the rest of the page stands on what was written.
        notes.append(f"no film, attention maps and t-SNE: {error}")
    on_progress("drawing", 1.0)
    page = render(
        run,
        metrics,
        look,
        cost,
        notes,
        title=Path(run.recording).name if run.said_by == REPLAY else folder.resolve().name,
    )
    path = folder / REPORT
    write_text(path, page)
    return path


def choose_pairs(run: Run, wanted: Sequence[tuple[str, str]] = ()) -> list[tuple[str, tuple[str, str]]]:
    """Tasks and pairs to look at closely.

    Raises:
        ValueError: a pair is none of the heads'.
    """
    known = [(task, pair) for task, described in run.tasks.items() for pair in described.symmetric_pairs]
    if wanted:
        for pair in wanted:
            if not any(set(pair) == set(other) for _, other in known):
                listed = ", ".join(f"{a} / {b}" for _, (a, b) in known) or "none"
                raise ValueError(f"{' / '.join(pair)} is no nearly symmetric pair; there are: {listed}")
        return [(task, pair) for task, pair in known if any(set(pair) == set(w) for w in wanted)]
    first = next((task for task, _ in known if task in run.truth), None)
    seen_ns: dict[tuple[str, str], int] = {}
    for task, pair in known:
        if task == first:
            segments = run.truth[task].segments(run.span_ns[1])
            seen_ns[pair] = sum(s.end_ns - s.start_ns for s in segments if s.label in pair)
    longest = sorted((pair for pair in seen_ns if seen_ns[pair]), key=lambda pair: -seen_ns[pair])
    return [(first, pair) for pair in longest[:PAIRS_SHOWN]] if first else []


def render(
    run: Run, metrics: dict[str, Any], look: SecondLook, cost: Cost | None, notes: list[str], *, title: str
) -> str:
    """The page as HTML that refers to nothing outside itself."""
    strip = look.film[:: max(1, -(-len(look.film) // _STRIP))]
    return render_page(
        "report.html",
        title=title,
        facts=_facts(run),
        tiles=_tiles(run, metrics),
        notes=notes,
        sections=[section for section in _sections(run, metrics, look, cost) if _has_content(section)],
        timeline_json=timeline_data(run, look.film),
        timeline_drawing=timeline_drawing(run),
        has_film=bool(look.film),
        strip=[(_data_uri(f.jpeg), f"{(f.stamp_ns - run.span_ns[0]) / 1e9:.1f} s") for f in strip],
        script=(PAGE / "timeline.js").read_text(encoding="utf-8"),
    )


def _perceiver(run: Run) -> Perceiver:
    """The run's own pipeline; PyTorch runs the backbone, which is needed once and tells its attention."""
    names = ("models", "backbone", "tasks", "window_seconds", "max_held")
    own = {name: run.settings[name] for name in names if name in run.settings}
    settings = read_settings(**own, engine="eager")
    return settings.load()


def _tiles(run: Run, metrics: dict[str, Any]) -> list[tuple[str, str, str]]:
    """Name, value and what it means of the figures on top."""
    pace = described(PaceScores)
    tiles = [
        (words(task), SCORES["accuracy"].text_with_unit(scores["accuracy"]), SCORES["accuracy"].doc)
        for task, scores in metrics["tasks"].items()
    ]
    tiles += [
        (pace[key].title, pace[key].text_with_unit(value_at(metrics, key)), pace[key].doc)
        for key in ("latency_ms.p50", "updates_per_second", "coverage")
    ]
    if "real_time_factor" in run.facts:
        tiles.append(("replayed", f"{run.facts['real_time_factor']:.1f} ×", "real time"))
    return tiles


def _recording(run: Run, moved: Path | None) -> Path:
    """Where to read the images again.

    Raises:
        BagError: nobody kept them.
    """
    if not (moved or run.recording):
        raise BagError("the images were not kept; name a recording of them with --bag")
    return moved or Path(run.recording)


def _facts(run: Run) -> list[tuple[str, str]]:
    facts = run.facts
    frames = ", ".join(f"{count} {words(name)}" for name, count in run.frames.items() if count)
    jumps = ", ".join(
        f"{count} × {words(name)}" for name, count in facts.get("restarts", {}).items() if count
    )
    seconds = (run.span_ns[1] - run.span_ns[0]) / 1e9
    stable = {name: value for name, value in run.settings.items() if name.startswith("filter.")}
    return [
        ("recording", f"{run.recording or 'not kept'}, {run.image_topic}, {seconds:.1f} s"),
        ("said by", "a replay" if run.said_by == REPLAY else "a live node"),
        ("images", frames + (f"; {jumps}" if jumps else "")),
        ("heads", ", ".join(run.settings["models"])),
        ("backbone", facts["backbone"]),
        ("window", f"{run.clip.num_frames} frames over {run.clip.window_seconds:g} s"),
        (
            "filter",
            ", ".join(f"{words(name.removeprefix('filter.'))} {value}" for name, value in stable.items()),
        ),
        ("truth", facts["truth_source"] if run.truth else "none"),
        ("run on", f"{facts['engine']}, {facts['device']}, {facts['versions']['machine']}"),
        ("versions", ", ".join(f"{n} {v}" for n, v in facts["versions"].items() if n != "machine")),
    ]


def _sections(run: Run, metrics: dict[str, Any], look: SecondLook, cost: Cost | None) -> list[Section]:
    tasks = [scored(run, task) for task in run.truth]
    tasks = [task for task in tasks if len(task.true)]
    errors = {task: scores["calibration_error"] for task, scores in metrics["tasks"].items()}
    judged = bool(metrics["tasks"])
    return [
        Section("scores", "Scores", tables=[live_table(metrics)] if judged else []),
        Section(
            "confusion",
            "What is taken for what",
            "Rows are true, columns are said; numbers are per cent of a row. Blue is right, orange is the "
            "nearly symmetric partner, grey anything else.",
            figures=[confusion_figure(task) for task in tasks],
        ),
        Section(
            "pairs",
            "Nearly symmetric pairs",
            "Two actions that are each other played backwards: a head that does not feel the order of frames "
            "cannot tell them apart.",
            figures=_drawn(
                figure
                for task in tasks
                for figure in (pair_matrices(task), confusion_in_time(task, run.truth[task.task]))
            ),
        ),
        Section(
            "paper",
            "The paper's tables for this run",
            "As in Order Matters (STEP), Tables I to III.",
            tables=all_tables(
                [
                    accuracy_table(metrics, cost) if judged else None,
                    order_table(metrics),
                    *(symmetric_table(task) for task in tasks),
                ]
            ),
        ),
        Section("classes", "Every class", tables=[class_table(run, task) for task in tasks]),
        Section(
            "reliability",
            "Reliability",
            "How often labels of a given confidence are right; on the dashed line, confidence is just that.",
            figures=[reliability_diagram(task, errors[task.task]) for task in tasks],
        ),
        Section(
            "latency",
            "Latency",
            "From the newest image of a window to its label. A window is final when the next image opens the "
            "next grid time, so one camera period of waiting is in it; the way of images to the node is not.",
            figures=[_latency(run)] if run.updates else [],
            tables=[pace_table(metrics)] if run.updates else [],
        ),
        Section(
            "attention",
            "Attention",
            "Where on the frames the last layer of the backbone looks (its CLS token), and where the weight "
            "of what the head pools lies. Warm is much; the frames of a row share one scale.",
            pictures=[_example(example, run) for example in look.attention],
        ),
        Section(
            "tsne",
            "Before and after the head",
            "t-SNE of the windows of a nearly symmetric pair. Distances between groups mean little; whether "
            "the two colours part is what counts.",
            figures=_drawn(tsne_maps(embeddings) for embeddings in look.embeddings),
        ),
        Section(
            "cost",
            "Cost of one more task",
            "Operations of one window, counted by PyTorch. Live, a frame passes the backbone once for all "
            "windows that show it.",
            figures=[cost_figure(cost)] if cost else [],
        ),
    ]


def _latency(run: Run) -> str:
    latency_ms = [(update.received_ns - update.stamp_ns) / 1e6 for update in run.updates]
    compute_ms = [update.compute_ns / 1e6 for update in run.updates if update.compute_ns is not None]
    return latency_histogram(latency_ms, compute_ms if len(compute_ms) == len(latency_ms) else None)


def _example(example: Any, run: Run) -> dict[str, Any]:
    at = (example.stamp_ns - run.span_ns[0]) / 1e9
    verdict = "right" if example.said == example.label else f"said: {words(example.said)}"
    return {
        "caption": f"{words(example.label)} ({verdict}), {at:.1f} s",
        "strips": [
            (name, _data_uri(jpeg(strip, 80)), f"{name}: {words(example.label)}, oldest frame on the left")
            for name, strip in attention_rows(example)
        ],
    }


def _data_uri(file: bytes) -> str:
    return "data:image/jpeg;base64," + base64.b64encode(file).decode()


def _drawn(figures: Any) -> list[str]:
    return [figure for figure in figures if figure is not None]


def _has_content(section: Section) -> bool:
    return bool(section.figures or section.tables or section.pictures)
