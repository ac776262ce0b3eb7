"""`step-ros tabletop-heads`: from nothing to judged heads on the built-in scenes, in one command."""

from __future__ import annotations

from pathlib import Path

from step_ros.cli.evaluate import evaluate
from step_ros.shared_files import shared_folder


def tabletop_heads(
    out: Path,
    train: int = 160,
    validation: int = 20,
    test: int = 40,
    steps: int = 1500,
    workers: int = 2,
    seed: int = 0,
    overwrite: bool = False,
) -> None:
    """Render films of the tabletop, encode them, train three heads on them, and judge these on other looks.

    What is there already is kept: stopped, it goes on where it was.

    Args:
        out: folder for films, tokens, heads and `results.json`.
        train: films in the train split.
        validation: films in the validation split.
        test: films in the test split.
        steps: of the training.
        workers: processes that render.
        seed: of everything random.
        overwrite: train anew where there are heads already.
    """
    import torch

    from step_ros.backbones import Backbone, select_engine
    from step_ros.frames import ClipSpec
    from step_ros.paper.trained_heads import train_heads, trained_already
    from step_ros.tabletop.dataset import render_films
    from step_ros.training.datasets import read_dataset
    from step_ros.training.extract import ExtractOptions, extract
    from step_ros.training.fit_options import FitOptions
    from step_ros.training.store import GridSampling

    has_muon = hasattr(torch.optim, "Muon")
    # For long films over which windows slide, as the bundled heads were trained.
    options = FitOptions(
        num_heads=4,
        steps=steps,
        optimizer="muon" if has_muon else "adamw",
        learning_rate=5e-3 if has_muon else 2e-3,
        token_dropout=0.5,
        label_smoothing=0.05,
        reversal_penalty=1.0,
        lag_seconds=0.1,
        balance=0.6,
        seed=seed,
    )
    counts = {"train": train, "validation": validation, "test": test}
    films = render_films(out / "films", counts, workers=workers, seed=seed)
    backbone = Backbone.from_pretrained(shared_folder() / "models" / "tabletop" / "backbone")
    backbone.engine = select_engine(backbone.encoder)
    windows = ExtractOptions(GridSampling(ClipSpec(num_frames=16, window_seconds=1.5)))
    store = extract(read_dataset(films), backbone, windows, out / "store")
    there = trained_already(out / "heads", [*store.tasks])
    if overwrite or len(there) < len(store.tasks):
        train_heads(store, (), out / "heads", options, overwrite=overwrite)
    else:
        print(f"the heads in {out / 'heads'} are judged as they are; --overwrite trains them anew")
    evaluate(out / "store", out / "heads", json_file=out / "results.json", classes=True)
