"""What a model folder says of how its head came about: README.md for people, training.json for programs."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from step_ros.probes import HeadConfig
from step_ros.training.fit_options import FitOptions
from step_ros.training.lesson import Fitted

TRAINING_FILE = "training.json"


@dataclass(frozen=True)
class Provenance:
    """What `training.json` remembers."""

    hold_out: tuple[str, ...]
    """Groups that were not trained on."""
    trained_on: frozenset[str]
    """Names of the clips that were."""


def write_provenance(
    folder: Path, fitted: Fitted, options: FitOptions, metrics: dict[str, Any] | None
) -> None:
    """Write `training.json` into a head's folder, with its metrics on the validation clips, if it has any."""
    content = {
        "options": {**options.to_json(), "precision": fitted.precision},
        "steps": fitted.steps,
        "trained_on": [clip.name for clip in fitted.split.train],
        "validated_on": [clip.name for clip in fitted.split.validation],
        "validation": metrics,
        "curve": fitted.curve,
    }
    (folder / TRAINING_FILE).write_text(json.dumps(content, indent=1) + "\n", encoding="utf-8")


def read_provenance(folder: Path) -> Provenance | None:
    """What a head was trained on; None where its folder does not say."""
    try:
        content = json.loads((folder / TRAINING_FILE).read_text(encoding="utf-8"))
        return Provenance(tuple(content["options"]["hold_out"]), frozenset(content["trained_on"]))
    except (OSError, ValueError, KeyError, TypeError):
        return None


def extend_card(
    folder: Path, config: HeadConfig, fitted: Fitted, options: FitOptions, tables: Sequence[tuple[str, str]]
) -> None:
    """Add data, training and results to the README.md of a saved head; tables are titles, and markdown."""
    pairs = "\n".join(f"- `{a}` and `{b}`" for a, b in config.symmetric_pairs) or "None."
    split = fitted.split
    held_out = f" (held out: {', '.join(options.hold_out)})" if options.hold_out else ""
    parts = [
        f"## Nearly symmetric pairs\n\n{pairs}",
        f"## Data\n\n{len(split.train)} training and {len(split.validation)} validation clips{held_out}; "
        f"{config.clip.num_frames} frames each.",
        f"## Training\n\n{fitted.steps} steps of {options.batch_size} windows, learning rate "
        f"{options.learning_rate:g}, seed {options.seed}; all options are in `{TRAINING_FILE}`. Temperature "
        f"{config.temperature:.3f}, rejection threshold {config.rejection_threshold:.3f}.",
        *(f"## {title}\n\n{table}" for title, table in tables),
    ]
    with (folder / "README.md").open("a", encoding="utf-8") as file:
        file.write("\n" + "\n\n".join(part.strip() for part in parts) + "\n")
