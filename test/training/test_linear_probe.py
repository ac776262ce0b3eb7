"""What is even and odd in time, and a probe that is blind to what is odd."""

from __future__ import annotations

import numpy as np
import pytest

from step_ros.scores.clips import evaluate
from step_ros.training.linear_probe import WindowMeans, order_blind_logits
from step_ros.training.splits import split_clips
from step_ros.training.store import TokenStore


def test_means_are_even_and_odd_in_time(clip_store: TokenStore) -> None:
    means = WindowMeans.of(clip_store, clip_store.clips)
    assert means.even.shape == means.odd.shape == (12, clip_store.backbone.dim)
    first = clip_store.tokens(means.windows[0].file, means.windows[0].tensor).float().mean(1).numpy()
    np.testing.assert_allclose(means.even[0], first.mean(0), rtol=1e-4, atol=1e-5)
    np.testing.assert_allclose(means.odd[0], first[4:].mean(0) - first[:4].mean(0), rtol=1e-3, atol=1e-5)
    right = means.labelled("direction", ["right"])
    assert len(right.windows) == 6 and right.even.shape[0] == 6
    assert WindowMeans.of(clip_store, []).even.shape == (0, clip_store.backbone.dim)


def test_an_order_blind_probe_does_not_know_which_way_a_square_moves(clip_store: TokenStore) -> None:
    split = split_clips(clip_store)
    train, test = (WindowMeans.of(clip_store, clips) for clips in (split.train, split.test))
    labels = ["left", "right", "up"]
    logits = order_blind_logits("direction", labels, train, test)
    assert logits is not None and logits.shape == (4, 3)
    assert np.isneginf(logits[:, 2]).all() and np.isfinite(logits[:, :2]).all()
    targets = np.array([labels.index(window.labels["direction"]) for window in test.windows])
    scores = evaluate(logits, logits, targets, labels, [("left", "right")])
    assert scores.pair_accuracy == pytest.approx(0.5, abs=0.26)
    assert order_blind_logits("direction", ["left", "up"], train, test) is None
    assert order_blind_logits("direction", labels, train, WindowMeans.of(clip_store, [])) is None
