"""The order-blind yardstick: a linear classifier on the mean of all tokens of a window."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from torch import Tensor

from step_ros.scores.clips import ClipMetrics, clip_metrics
from step_ros.training.store import StoredClip, TokenStore
from step_ros.training.window_tokens import WindowTokens


def mean_pooled_linear_probe(
    store: TokenStore, task: str, train: Sequence[StoredClip], test: Sequence[StoredClip]
) -> ClipMetrics:
    """Fit logistic regression on some clips of a store and judge it on others.

    A mean over frames is the same forwards and backwards, so what it finds of direction stands in the frames
    themselves: on nearly symmetric pairs it should stay near chance.
    """
    labels, pairs = store.tasks[task].labels, store.tasks[task].symmetric_pairs
    index = {label: i for i, label in enumerate(labels)}
    tokens_of = WindowTokens(store)

    def features(clips: Sequence[StoredClip]) -> tuple[Tensor, Tensor]:
        windows = [window for window in store.clip_windows(clips) if task in window.labels]
        means = torch.cat([tokens_of([window]).float().mean((1, 2)) for window in windows])
        return means, torch.tensor([index[window.labels[task]] for window in windows])

    means, targets = features(train)
    probe = make_pipeline(StandardScaler(), LogisticRegression(max_iter=1000)).fit(
        means.numpy(), targets.numpy()
    )
    means, targets = features(test)
    logits = torch.full((len(targets), len(labels)), -torch.inf)
    logits[:, torch.from_numpy(probe.classes_)] = torch.from_numpy(
        probe.predict_log_proba(means.numpy())
    ).float()
    return clip_metrics(logits, logits, targets, labels, pairs)
