"""Tokens of windows: the store's own, in the order in which the window runs."""

from __future__ import annotations

from dataclasses import replace

import torch

from step_ros.training.store import TokenStore
from step_ros.training.window_tokens import WindowTokens


def test_a_window_s_tokens_are_the_store_s(clip_store: TokenStore) -> None:
    window, *_ = clip_store.clip_windows(clip_store.clips)
    found = WindowTokens(clip_store)([window, window], [0, 1])
    assert torch.equal(found[0], clip_store.tokens(window.file, window.tensor))
    assert torch.equal(found[1], clip_store.tokens(window.file, window.tensor, 1))


def test_backwards_the_newest_frame_comes_first(grid_store: TokenStore) -> None:
    window, *_ = grid_store.clip_windows(grid_store.clips)
    tokens_of = WindowTokens(grid_store)
    turned = tokens_of([replace(window, backwards=True)])
    assert torch.equal(turned, tokens_of([window]).flip(1)) and not torch.equal(turned, turned.flip(1))


def test_only_the_patches_asked_for_are_read(grid_store: TokenStore) -> None:
    windows = grid_store.clip_windows(grid_store.clips)[:2]
    tokens_of, patches = WindowTokens(grid_store), torch.tensor([2, 0])
    assert torch.equal(tokens_of(windows, patches=patches), tokens_of(windows)[:, :, patches])
