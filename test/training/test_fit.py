"""Fitting on cached tokens: a head that tells right from left, which no order-blind probe can."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from step_ros.backbones import Backbone
from step_ros.frames import ClipSpec
from step_ros.probes import Head
from step_ros.training.fit import FitOptions, accuracy, drop_tokens, fit, save_heads
from step_ros.training.token_store import TokenStore, extract
from step_ros.training.windows import WindowTokens, centred_windows

OPTIONS = FitOptions(
    steps=300, batch_size=16, token_dropout=0.0, label_smoothing=0.0, num_heads=4, lag_seconds=0.0
)


@pytest.fixture(scope="module")
def store(clips_csv: Path, backbone: Backbone, tmp_path_factory: pytest.TempPathFactory) -> TokenStore:
    return extract(clips_csv, backbone, ClipSpec(8, 0.8), tmp_path_factory.mktemp("store"))


def test_a_head_learns_direction_and_survives_saving(store: TokenStore, tmp_path: Path) -> None:
    heads = fit(store, ["direction"], OPTIONS)
    save_heads(heads, tmp_path)
    head = Head.from_pretrained(tmp_path / "direction")
    windows = centred_windows(store, "test")
    assert accuracy(head, windows, WindowTokens(store)) >= 0.75
    tokens = WindowTokens(store)(windows).float()
    with torch.inference_mode():
        forwards, backwards = (
            head(clip).diff()[:, 0] for clip in (tokens, tokens.flip(1))
        )  # left minus right
    for window, ahead, back in zip(windows, forwards, backwards, strict=True):
        assert (ahead > back) == (window.labels["direction"] == "left")
    assert head.config.symmetric_pairs == (("right", "left"),)
    assert head.config.temperature == heads["direction"].config.temperature != 1.0


def test_unknown_task_names_those_there_are(store: TokenStore) -> None:
    with pytest.raises(ValueError, match="no task verb; it has direction"):
        fit(store, ["verb"], OPTIONS)


def test_token_dropout_keeps_the_same_places_in_every_frame() -> None:
    tokens = torch.arange(10.0).view(1, 1, 10, 1).expand(2, 3, 10, 4)
    kept = drop_tokens(tokens, 0.7)
    assert kept.shape == (2, 3, 3, 4)
    assert torch.equal(kept[0, 0], kept[1, 2])
