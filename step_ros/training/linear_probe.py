"""The order-blind yardstick: a linear classifier on the mean of all tokens of a window."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from step_ros.scores.probabilities import Floats
from step_ros.training.store import StoredClip, TokenStore
from step_ros.training.window_tokens import WindowTokens
from step_ros.training.windows import Window


@dataclass(frozen=True)
class WindowMeans:
    """What is left of clips' windows without places: even and odd in time."""

    windows: list[Window]
    """N of them."""
    even: Floats
    """(N, D), the mean of all tokens: the same forwards and backwards."""
    odd: Floats
    """(N, D), the mean over the window's second half less that over its first: backwards, its negative."""

    @classmethod
    def of(cls, store: TokenStore, clips: Sequence[StoredClip]) -> WindowMeans:
        """Those of clips of a store."""
        tokens_of = WindowTokens(store)
        windows = store.clip_windows(clips)
        frames = [tokens_of([window])[0].float().mean(1) for window in windows]  # (T, D) each
        half = store.clip.num_frames // 2
        even = [of.mean(0) for of in frames]
        odd = [of[-half:].mean(0) - of[:half].mean(0) for of in frames]
        empty = torch.zeros(0, store.backbone.dim)
        return cls(windows, *(torch.stack(all_).numpy() if all_ else empty.numpy() for all_ in (even, odd)))

    def labelled(self, task: str, labels: Sequence[str]) -> WindowMeans:
        """Those whose label of a task is one of these."""
        asked = frozenset(labels)
        known = [i for i, window in enumerate(self.windows) if window.labels.get(task) in asked]
        return WindowMeans([self.windows[i] for i in known], self.even[known], self.odd[known])


def order_blind_logits(
    task: str, labels: Sequence[str], train: WindowMeans, test: WindowMeans
) -> Floats | None:
    """Fit logistic regression on some clips, and ask it of others that have one of K labels.

    A mean over frames is the same forwards and backwards, so what it finds of direction stands in the frames
    themselves: on nearly symmetric pairs it should stay near chance.

    Returns:
        Logits (N, K), those of labels that it was not trained on minus infinity; None if it has seen fewer
        than two.
    """
    index = {label: i for i, label in enumerate(labels)}
    train, test = train.labelled(task, labels), test.labelled(task, labels)
    targets = np.array([index[window.labels[task]] for window in train.windows])
    if len(set(targets.tolist())) < 2 or not test.windows:
        return None
    probe = make_pipeline(StandardScaler(), LogisticRegression(max_iter=1000)).fit(train.even, targets)
    logits = np.full((len(test.windows), len(labels)), -np.inf)
    logits[:, probe.classes_] = probe.predict_log_proba(test.even)
    return logits
