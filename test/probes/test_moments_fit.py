"""Fitting in closed form: direction from a handful, leaving out exactly, and taking an example back."""

from __future__ import annotations

import pytest
import torch
from sklearn.linear_model import Ridge
from torch import Tensor

from step_ros.probes import Head, MomentsProbe, moments_fit
from step_ros.probes.moments import backwards
from step_ros.probes.moments_fit import PENALTIES, fit_moments

from .small_heads import make_head

LABELS = {"open": 0, "close": 1, "push": 2}


def examples(per_class: int = 6) -> tuple[Tensor, Tensor, list[int]]:
    """Moments (N, 4, 4, D) of which only the sign of the odd half tells *open* from *close*."""
    generator = torch.Generator().manual_seed(3)
    shape = (4, 4, 24)
    pair, push = (torch.randn(shape, generator=generator) for _ in range(2))
    targets = torch.arange(3).repeat_interleave(per_class)
    clean = torch.stack([pair, backwards(pair), push])[targets]
    recordings = [index % per_class for index in range(len(targets))]
    return clean + 0.7 * torch.randn(clean.shape, generator=generator), targets, recordings


def fitted(moments: Tensor, targets: Tensor, recordings: list[int]) -> Head:
    head = make_head(kind="moments")
    fit_moments(head, moments, targets, recordings)
    return head


def answers(head: Head, moments: Tensor) -> Tensor:
    probe = head.probe
    assert isinstance(probe, MomentsProbe)
    with torch.no_grad():
        logits: Tensor = probe.classifier(moments.flatten(1))
    return logits


def test_new_examples_are_told_apart_and_backwards_too() -> None:
    moments, targets, recordings = examples()
    kept = torch.tensor(recordings) < 5
    head = fitted(moments[kept], targets[kept], [r for r in recordings if r < 5])
    assert answers(head, moments[~kept]).argmax(1).tolist() == [0, 1, 2]
    assert answers(head, backwards(moments[~kept]))[:2].argmax(1).tolist() == [1, 0]
    assert 0.05 <= head.config.temperature < 1


def test_answers_to_what_is_left_out_are_those_of_a_head_without_it() -> None:
    moments, targets, recordings = examples(4)
    features = moments_fit._Scaling.of(moments.double())(moments.double())
    wanted = torch.eye(4, dtype=torch.float64)[targets]
    gram = features @ features.T
    groups = moments_fit._groups(recordings)
    held_out, _ = moments_fit._leave_out(gram, wanted, groups, 0.1)
    for group in groups:
        rest = torch.tensor([i for i in range(len(wanted)) if i not in group.tolist()])
        _, dual = moments_fit._leave_out(gram[rest[:, None], rest], wanted[rest], [], 0.1)
        torch.testing.assert_close(held_out[group], gram[group[:, None], rest] @ dual)


def test_it_is_ridge_regression() -> None:
    moments, targets, recordings = examples()
    head = fitted(moments, targets, recordings)
    features = moments_fit._Scaling.of(moments.double())(moments.double()).numpy()
    wanted = torch.eye(4)[targets].numpy()
    frequency = wanted.mean(0)
    errors = []
    for penalty in PENALTIES:
        ridge = Ridge(alpha=penalty, fit_intercept=False).fit(features, wanted - frequency)
        errors.append(abs(ridge.predict(features) + frequency - answers(head, moments).numpy()).max())
    assert min(errors) < 1e-5


def test_the_same_examples_give_the_same_head_to_the_bit() -> None:
    one, other = (fitted(*examples()).state_dict() for _ in range(2))
    assert all(torch.equal(one[name], other[name]) for name in one)


def test_classes_do_not_disturb_each_other() -> None:
    moments, targets, recordings = examples()
    both, merged = fitted(moments, targets, recordings), make_head(kind="moments")
    fit_moments(merged, moments, torch.where(targets == 2, 3, targets), recordings)
    torch.testing.assert_close(answers(both, moments)[:, :2], answers(merged, moments)[:, :2])


def test_what_cannot_be_fitted_is_said() -> None:
    moments, targets, recordings = examples(1)
    with pytest.raises(ValueError, match="at least one example, all of finite numbers"):
        fit_moments(make_head(kind="moments"), moments[:0], targets[:0], [])
    with pytest.raises(ValueError, match="at least one example, all of finite numbers"):
        fit_moments(make_head(kind="moments"), moments / 0, targets, recordings)
    with pytest.raises(ValueError, match="has a StepProbe, not a MomentsProbe"):
        fit_moments(make_head(), moments, targets, recordings)


def test_one_example_and_one_class_give_a_head() -> None:
    moments, targets, _ = examples(1)
    head = fitted(moments[:1], targets[:1], [0])
    assert bool(torch.isfinite(answers(head, moments)).all())
    assert 0 <= head.config.rejection_threshold <= 1
