"""Batches: rare classes more often, few places, and mixed windows that teach both of their labels."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch
from rich.console import Console

from step_ros.training.batches import PLACES, Batches, balanced, draw_places
from step_ros.training.fit_options import FitOptions
from step_ros.training.heads import TaskHeads, new_heads
from step_ros.training.lesson import Lesson, prepare_lesson
from step_ros.training.splits import split_clips
from step_ros.training.store import GridStore, TokenStore
from step_ros.training.window_tokens import WindowTokens

OPTIONS = FitOptions(batch_size=6, num_heads=2, token_dropout=0.75)


@pytest.fixture
def lesson(clip_store: TokenStore) -> Lesson:
    return prepare_lesson(clip_store, ["direction"], OPTIONS, Console(quiet=True))


@pytest.fixture
def heads(lesson: Lesson) -> TaskHeads:
    tokens_of = WindowTokens(lesson.store)
    return TaskHeads(new_heads(lesson, lesson.store.backbone, tokens_of, OPTIONS))


def test_a_batch_shows_the_places_and_labels_of_its_windows(lesson: Lesson, heads: TaskHeads) -> None:
    batch = Batches(lesson, WindowTokens(lesson.store), OPTIONS).draw(heads)
    assert batch.tokens.shape == (6, 8, 4, 32) and batch.places.shape == (4,)
    (target,) = batch.targets["direction"]
    assert target.labels.shape == target.weights.shape == (6,) and target.share == 1
    assert heads(batch.tokens, batch.places)["direction"].shape == (6, 2)


def test_mixed_windows_teach_both_of_their_labels(lesson: Lesson, heads: TaskHeads) -> None:
    batch = Batches(lesson, WindowTokens(lesson.store), replace(OPTIONS, mixup=1.0)).draw(heads)
    own, other = batch.targets["direction"]
    assert own.share + other.share == pytest.approx(1) and 0 < own.share < 1
    assert sorted(own.labels.tolist()) == sorted(other.labels.tolist())
    assert batch.tokens.shape == (6, 8, 4, 32)


def test_processes_draw_different_batches_each_always_the_same(lesson: Lesson, heads: TaskHeads) -> None:
    drawn = []
    for index in (0, 0, 1):
        torch.manual_seed(0)
        batches = Batches(lesson, WindowTokens(lesson.store), OPTIONS, process_index=index)
        drawn.append(torch.cat([batches.draw(heads).tokens for _ in range(3)]))
    assert torch.equal(drawn[0], drawn[1]) and not torch.equal(drawn[0], drawn[2])


def test_balanced_draws_rare_classes_more_often(grid_store: GridStore) -> None:
    windows = grid_store.sliding_windows(split_clips(grid_store).of("train"), lag_seconds=0.0)
    rare = [w for w in windows if w.labels["direction"] == "left"][:5]
    common = [w for w in windows if w.labels["direction"] == "right"]
    generator = torch.Generator().manual_seed(0)
    drawn = balanced(rare + common, "direction", generator, power=1.0)(2000)
    assert sum(w.labels["direction"] == "left" for w in drawn) == pytest.approx(1000, abs=120)


def test_the_places_that_a_batch_shows() -> None:
    places = draw_places(10, 0.7)
    assert len(places.unique()) == 3 and places.max() < 10
    assert sorted(draw_places(10, None).tolist()) == list(range(10))
    assert len(draw_places(300, None)) == PLACES
    assert len(draw_places(10, 0.99)) == 1
