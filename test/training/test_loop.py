"""The loop: a killed training goes on as if nothing had been, and one that gets no better stops."""

from __future__ import annotations

import io
import math
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from rich.console import Console
from torch import Tensor

from step_ros.backbones.finite_weights import not_finite
from step_ros.training import loop
from step_ros.training.checkpoint import Checkpoint, remove_checkpoints, tasks_under_way
from step_ros.training.fit import fit
from step_ros.training.fit_options import OPTIMIZERS, FitOptions
from step_ros.training.loop import DivergedError, losses_of, warm_up_and_cosine
from step_ros.training.store import TokenStore

QUIET = Console(quiet=True)
FEW = FitOptions(steps=6, batch_size=16, token_dropout=0.0, label_smoothing=0.0, num_heads=4, check_every=2)


@pytest.mark.parametrize("optimizer", OPTIMIZERS)
def test_a_killed_training_goes_on_to_the_same_weights(
    optimizer: str, clip_store: TokenStore, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    if optimizer == "muon" and not hasattr(torch.optim, "Muon"):
        pytest.skip("this PyTorch has no Muon")
    few = replace(FEW, optimizer=optimizer)
    expected = fit(clip_store, ["direction"], few, console=QUIET).heads["direction"].state_dict()
    with monkeypatch.context() as patch:
        save = Checkpoint.save

        def save_and_die(self: Checkpoint, step: int, notes: dict[str, object]) -> None:
            save(self, step, notes)
            if step == 4:
                raise KeyboardInterrupt

        patch.setattr(Checkpoint, "save", save_and_die)
        with pytest.raises(KeyboardInterrupt):
            fit(clip_store, ["direction"], few, checkpoints=tmp_path, console=QUIET)
    shown = io.StringIO()
    fitted = fit(clip_store, ["direction"], few, checkpoints=tmp_path, console=Console(file=shown))
    assert "going on from step 4" in shown.getvalue()
    found = fitted.heads["direction"].state_dict()
    assert all(torch.equal(found[name], expected[name]) for name in expected)
    assert [values["step"] for values in fitted.curve] == [2, 4, 6]
    assert tasks_under_way(tmp_path) == ["direction"]  # until the heads are safe
    remove_checkpoints(tmp_path)
    assert not list(tmp_path.iterdir()) and tasks_under_way(tmp_path) == []


def test_a_training_that_was_killed_when_it_stopped_stays_stopped(
    clip_store: TokenStore, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    options = replace(FEW, steps=150, learning_rate=1.0, patience=2)
    expected = fit(clip_store, ["direction"], options, console=QUIET)
    with monkeypatch.context() as patch:
        save = Checkpoint.save

        def save_and_die(self: Checkpoint, step: int, notes: dict[str, object]) -> None:
            save(self, step, notes)
            if notes["stale"] == options.patience:
                raise KeyboardInterrupt

        patch.setattr(Checkpoint, "save", save_and_die)
        with pytest.raises(KeyboardInterrupt):
            fit(clip_store, ["direction"], options, checkpoints=tmp_path, console=QUIET)
    again = fit(clip_store, ["direction"], options, checkpoints=tmp_path, console=QUIET)
    assert again.steps == expected.steps and again.curve == expected.curve


def test_training_stops_when_validation_gets_no_better(clip_store: TokenStore) -> None:
    options = replace(FEW, steps=150, learning_rate=1.0, patience=2)
    assert fit(clip_store, ["direction"], options, console=QUIET).steps < options.steps


def test_a_training_that_diverges_keeps_the_last_good_state(
    clip_store: TokenStore, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """A NaN comes into a gradient in the fifth step: the heads are those of the check before it."""
    expected = fit(clip_store, ["direction"], replace(FEW, steps=6), console=QUIET)
    kept = {}

    def spoil(heads: dict[str, Tensor]) -> dict[str, Tensor]:
        kept["calls"] = kept.get("calls", 0) + 1
        return {task: loss * math.nan if kept["calls"] == 5 else loss for task, loss in heads.items()}

    monkeypatch.setattr(loop, "losses_of", lambda *given: spoil(losses_of(*given)))
    fitted = fit(clip_store, ["direction"], FEW, console=QUIET)
    assert (fitted.steps, fitted.diverged_at) == (4, 6) and len(fitted.curve) == 2
    assert fitted.curve == expected.curve[:2]
    assert not not_finite(fitted.heads["direction"].state_dict().items())
    assert "diverged: at step 6" in caplog.text and "up to step 4 is kept" in caplog.text


def test_a_training_that_diverges_at_once_is_an_error(clip_store: TokenStore) -> None:
    with pytest.raises(DivergedError, match="at step 2 .*smaller --learning-rate"):
        fit(clip_store, ["direction"], replace(FEW, learning_rate=1e30), console=QUIET)


def test_the_learning_rate_rises_and_falls() -> None:
    factors = [warm_up_and_cosine(step, 100) for step in range(100)]
    assert factors[:11] == pytest.approx([*(i / 10 for i in range(1, 11)), 1.0])
    assert factors[10:] == sorted(factors[10:], reverse=True) and factors[-1] < 0.01
