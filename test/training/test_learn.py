"""Learning from a store: judged on what was not fitted on, and STEP only where it is better."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
from rich.console import Console

from step_ros.probes import Head, MomentsProbe, StepProbe
from step_ros.scores.verdict import Gravity
from step_ros.training import learn as learning
from step_ros.training.fit_options import FitOptions
from step_ros.training.learn import learn
from step_ros.training.model_card import read_provenance
from step_ros.training.store import TokenStore, open_store

OPTIONS = FitOptions(
    steps=300, batch_size=16, token_dropout=0.0, label_smoothing=0.0, num_heads=4, check_every=100
)


def test_a_head_in_closed_form_is_judged_by_each_recording_from_the_others(
    clip_store: TokenStore, tmp_path: Path
) -> None:
    learned = learn(clip_store, ["direction"], tmp_path, OPTIONS, console=Console(quiet=True))["direction"]
    train = [clip for clip in clip_store.clips if clip.split == "train"]
    assert len(learned.judged.targets) == len(train) and learned.judged.seen == 0
    assert learned.judged.trained == {"left": len(train) // 2, "right": len(train) // 2}
    assert (learned.judged.logits.argmax(1) == learned.judged.targets).mean() >= 0.75
    assert any(finding.gravity is Gravity.BELIEF for finding in learned.findings)
    assert isinstance(Head.from_pretrained(tmp_path / "direction").probe, MomentsProbe)
    provenance = read_provenance(tmp_path / "direction")
    assert provenance is not None and provenance.trained_on == {clip.name for clip in train}


def test_step_is_kept_where_it_is_right_more_often(
    clip_store: TokenStore, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    shown = Console(record=True, width=200)
    store = open_store(clip_store.root)
    fit = learning.fit

    def blind_in_closed_form(*arguments, **options):  # type: ignore[no-untyped-def]
        fitted = fit(*arguments, **options)
        for head in fitted.heads.values():
            if isinstance(head.probe, MomentsProbe):
                head.probe.classifier.weight.data.zero_()
        return fitted

    monkeypatch.setattr(learning, "fit", blind_in_closed_form)
    learned = learn(store, ["direction"], tmp_path, OPTIONS, step=True, console=shown)["direction"]
    assert learned.choice.startswith("trained: of ") and "the head in closed form 50%" in learned.choice
    assert isinstance(learned.head.probe, StepProbe)
    assert isinstance(Head.from_pretrained(tmp_path / "direction").probe, StepProbe)


def test_step_is_not_kept_where_it_is_no_better(clip_store: TokenStore, tmp_path: Path) -> None:
    shown = Console(record=True, width=200)
    options = replace(OPTIONS, steps=1)
    learned = learn(clip_store, ["direction"], tmp_path, options, step=True, console=shown)["direction"]
    assert learned.choice == "fitted in closed form"
    assert isinstance(Head.from_pretrained(tmp_path / "direction").probe, MomentsProbe)
    assert "clips kept aside STEP names" in shown.export_text()
