"""Fitting on cached tokens: a head that tells right from left, which no order-blind probe can."""

from __future__ import annotations

import io
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from rich.console import Console

from step_ros.backbones import Backbone
from step_ros.frames import ClipSpec
from step_ros.probes import PROBE_KINDS, Head, StepOptions
from step_ros.training import training_loop
from step_ros.training.datasets import read_dataset
from step_ros.training.extract import ExtractOptions, extract
from step_ros.training.fit import fit, head_config, save_heads, training_windows
from step_ros.training.fit_options import OPTIMIZERS, FitOptions, OptionsError, read_options
from step_ros.training.judge import judge
from step_ros.training.splits import split_clips
from step_ros.training.targets import targets_of
from step_ros.training.token_store import TokenStore, TokenStoreError
from step_ros.training.training_loop import PLACES, draw_places, warm_up_and_cosine

QUIET = Console(quiet=True)
OPTIONS = FitOptions(
    steps=150, batch_size=16, token_dropout=0.0, label_smoothing=0.0, num_heads=4, lag_seconds=0.0
)
FEW = replace(OPTIONS, steps=6, check_every=2)


@pytest.mark.parametrize("kind", ["clip", "grid"])
def test_a_head_learns_direction_and_survives_saving(
    kind: str, clip_store: TokenStore, clips_csv: Path, backbone: Backbone, tmp_path: Path
) -> None:
    store = clip_store
    if kind == "grid":
        options = ExtractOptions(ClipSpec(8, 0.8))
        store = extract(read_dataset(clips_csv), backbone, options, tmp_path / "store")
    fitted = fit(store, ["direction"], replace(OPTIONS, steps=300), console=QUIET)
    save_heads(fitted.heads, tmp_path)
    head = Head.from_pretrained(tmp_path / "direction")
    metrics = judge(head, store, fitted.split.test).metrics
    assert metrics.top1 >= 0.75 and metrics.pair_accuracy == 1.0
    assert metrics.reversed_top1 <= 0.25
    assert head.config.symmetric_pairs == (("right", "left"),)
    assert head.config.clip == store.clip
    assert head.config.temperature == fitted.heads["direction"].config.temperature != 1.0


def test_the_built_in_task_tells_forward_from_reversed(clip_store: TokenStore, tmp_path: Path) -> None:
    """Every clip of one class: how it runs is then all that there is to learn."""
    store = TokenStore(clip_store.root)
    del store.tasks["direction"]
    store.clips = [c for c in store.clips if c.labels["direction"] == "right"]
    store.clips = [replace(clip, labels={}) for clip in store.clips]
    fitted = fit(store, ["direction"], OPTIONS, console=QUIET)
    head = fitted.heads["direction"]
    assert head.config.labels == ("forward", "reversed")
    metrics = judge(head, store, fitted.split.test).metrics
    assert metrics.direction_accuracy == 1.0


@pytest.mark.parametrize("probe", [kind for kind in PROBE_KINDS if kind != "step"])
def test_every_probe_is_fitted(probe: str, clip_store: TokenStore) -> None:
    options = replace(
        FEW, probe=probe, normalization="channel", token_pooling=2, mixup=0.2, token_dropout=0.5
    )
    fitted = fit(clip_store, ["direction"], options, console=QUIET)
    head = fitted.heads["direction"]
    assert head.config.probe.kind == probe
    assert head.normalization.std.std() > 0  # measured on the training clips
    assert [values["step"] for values in fitted.curve] == [2, 4, 6]
    assert {"direction validation loss", "direction validation accuracy"} <= set(fitted.curve[0])


def test_embeddings_a_token_are_fitted_with_places_left_out(clip_store: TokenStore) -> None:
    options = replace(FEW, step=StepOptions(position_unit="token"), token_dropout=0.5)
    fit(clip_store, ["direction"], options, console=QUIET)


def test_a_seed_fixes_everything(clip_store: TokenStore) -> None:
    first, second, other = (
        fit(clip_store, ["direction"], replace(FEW, seed=seed), console=QUIET).heads["direction"].state_dict()
        for seed in (0, 0, 1)
    )
    assert all(torch.equal(first[name], second[name]) for name in first)
    assert not torch.equal(first["probe.cls"], other["probe.cls"])


@pytest.mark.parametrize("optimizer", OPTIMIZERS)
def test_a_killed_training_goes_on_to_the_same_weights(
    optimizer: str, clip_store: TokenStore, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    if optimizer == "muon" and not hasattr(torch.optim, "Muon"):
        pytest.skip("this PyTorch has no Muon")
    few = replace(FEW, optimizer=optimizer)
    expected = fit(clip_store, ["direction"], few, console=QUIET).heads["direction"].state_dict()
    with monkeypatch.context() as patch:
        save = training_loop.save_checkpoint

        def save_and_die(folder: Path, step: int, *rest: object) -> None:
            save(folder, step, *rest)  # type: ignore[arg-type]
            if step == 4:
                raise KeyboardInterrupt

        patch.setattr(training_loop, "save_checkpoint", save_and_die)
        with pytest.raises(KeyboardInterrupt):
            fit(clip_store, ["direction"], few, checkpoints=tmp_path, console=QUIET)
    shown = io.StringIO()
    fitted = fit(clip_store, ["direction"], few, checkpoints=tmp_path, console=Console(file=shown))
    assert "going on from step 4" in shown.getvalue()
    found = fitted.heads["direction"].state_dict()
    assert all(torch.equal(found[name], expected[name]) for name in expected)
    assert [values["step"] for values in fitted.curve] == [2, 4, 6]
    assert not list(tmp_path.iterdir())


def test_a_probe_with_no_matrices_for_muon_is_fitted_by_adamw(clip_store: TokenStore) -> None:
    heads = [
        fit(clip_store, ["direction"], replace(FEW, probe="linear", optimizer=optimizer), console=QUIET).heads
        for optimizer in OPTIMIZERS
    ]
    first, second = (head["direction"].state_dict() for head in heads)
    assert all(torch.equal(first[name], second[name]) for name in first)


def test_training_stops_when_validation_gets_no_better(clip_store: TokenStore) -> None:
    options = replace(OPTIONS, learning_rate=1.0, check_every=2, patience=2)
    assert fit(clip_store, ["direction"], options, console=QUIET).steps < options.steps


def test_unknown_task_names_those_there_are(clip_store: TokenStore) -> None:
    with pytest.raises(TokenStoreError, match="no task verb; it has direction"):
        fit(clip_store, ["verb"], OPTIONS, console=QUIET)


def test_a_window_backwards_teaches_only_what_is_known_of_it(clip_store: TokenStore) -> None:
    store = TokenStore(clip_store.root)
    store.tasks["verb"] = replace(store.tasks["direction"], labels=["right", "left", "wave"])
    store.tasks["object"] = replace(store.tasks["direction"], labels=["cup"], symmetric_pairs=[])
    del store.tasks["direction"]
    split = split_clips(store)
    verbs = ("right", "wave", "left", "wave")
    split.train[:] = [
        replace(clip, labels={"verb": verb, **({"object": "cup"} if i else {})})
        for i, (clip, verb) in enumerate(zip(split.train, verbs, strict=True))
    ]
    store.clips = split.train
    windows = training_windows(store, ["verb"], split, OPTIONS)
    assert [(w.labels["verb"], w.backwards) for w in windows] == [
        *((verb, False) for verb in verbs),
        ("left", True),
        ("right", True),
    ]
    config = head_config(store, "verb", OPTIONS)
    both = training_windows(store, ["verb", "direction"], split, replace(OPTIONS, time_reversal=False))
    for reversal, penalty, expected in (
        (True, 0.0, [1, 1, 1, 1, 1, 0, 1, 0]),
        (True, 0.3, [1, 1, 1, 1, 1, 0.3, 1, 0.3]),
        (False, 0.3, [1, 1, 1, 1, 0, 0, 0, 0]),
    ):
        _, weights = targets_of(both, config, time_reversal=reversal, reversal_penalty=penalty)
        assert weights.tolist() == pytest.approx(expected)


def test_the_places_that_a_batch_shows() -> None:
    places = draw_places(10, 0.7)
    assert len(places.unique()) == 3 and places.max() < 10
    assert sorted(draw_places(10, None).tolist()) == list(range(10))
    assert len(draw_places(300, None)) == PLACES
    assert len(draw_places(10, 0.99)) == 1


def test_the_learning_rate_rises_and_falls() -> None:
    factors = [warm_up_and_cosine(step, 100) for step in range(100)]
    assert factors[:11] == pytest.approx([*(i / 10 for i in range(1, 11)), 1.0])
    assert factors[10:] == sorted(factors[10:], reverse=True) and factors[-1] < 0.01


def test_options_come_from_yaml(tmp_path: Path) -> None:
    path = tmp_path / "options.yaml"
    path.write_text("steps: 12\nstep: {position: fixed}\nhold_out: [scene3]\nstart: heads\n")
    options = read_options(path)
    assert options == FitOptions(
        steps=12, step=StepOptions(position="fixed"), hold_out=("scene3",), start=Path("heads")
    )
    for text, message in (
        ("stepz: 12", "unknown options stepz"),
        ("steps: 0", "steps must be at least 1"),
        ("step: {position: sinus}", "unknown position 'sinus'"),
        ("[", "cannot be read"),
        ("- steps", "must hold options"),
    ):
        path.write_text(text)
        with pytest.raises(OptionsError, match=message):
            read_options(path)
