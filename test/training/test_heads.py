"""Where heads start from: nothing, a head of their own, or the attention of another."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import torch
from rich.console import Console

from step_ros.probes import Head
from step_ros.training.fit import save_heads
from step_ros.training.fit_options import FitOptions
from step_ros.training.heads import new_heads
from step_ros.training.lesson import prepare_lesson
from step_ros.training.store import TokenStore, open_store
from step_ros.training.window_tokens import WindowTokens

OPTIONS = FitOptions(num_heads=12)


def heads_of(store: TokenStore, options: FitOptions) -> dict[str, Head]:
    lesson = prepare_lesson(store, list(store.tasks), options, Console(quiet=True))
    return new_heads(lesson, store.backbone, WindowTokens(store), options)


def test_a_head_answers_the_store_s_task_on_its_backbone(clip_store: TokenStore) -> None:
    head = heads_of(clip_store, OPTIONS)["direction"]
    assert head.config.labels == ("right", "left") and head.config.clip == clip_store.clip
    assert head.config.backbone == clip_store.backbone
    assert head.config.probe.num_heads == 8  # the most, up to 12, that divide 32 channels


def test_channels_are_measured_on_the_training_windows(clip_store: TokenStore) -> None:
    head = heads_of(clip_store, replace(OPTIONS, normalization="channel"))["direction"]
    windows = clip_store.clip_windows([clip for clip in clip_store.clips if clip.split == "train"])
    tokens = WindowTokens(clip_store)(windows).float().flatten(0, 2)
    torch.testing.assert_close(head.normalization.mean, tokens.mean(0))
    torch.testing.assert_close(head.normalization.std, tokens.std(0), rtol=1e-3, atol=0)


def test_a_head_starts_from_its_own_or_from_another_s_attention(
    clip_store: TokenStore, tmp_path: Path
) -> None:
    before = heads_of(clip_store, OPTIONS)
    save_heads(before, tmp_path)
    store = open_store(clip_store.root)
    store.tasks["verb"] = replace(store.tasks["direction"], labels=["right", "left", "wave"])
    after = heads_of(store, replace(OPTIONS, start=tmp_path))
    own, other = after["direction"].state_dict(), after["verb"].state_dict()
    for name, tensor in before["direction"].state_dict().items():
        assert torch.equal(own[name], tensor)
        assert torch.equal(other[name], tensor) == ("classifier" not in name)
