"""Tokens of windows: as they are stored, or made of stored pixels."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Protocol

import torch
from torch import Tensor

from step_ros.backbones import Backbone
from step_ros.training.raw_patches import WindowEncoder
from step_ros.training.store import TokenStore
from step_ros.training.windows import Window

KEPT_BYTES = 4 * 10**9
"""Tokens of a frozen backbone that are kept, so that most windows pass it once."""

_Name = tuple[str, str, int, bool, int]


class TokenSource(Protocol):
    """Where the tokens of windows come from."""

    def __call__(
        self, windows: Sequence[Window], views: Sequence[int] | None = None, patches: Tensor | None = None
    ) -> Tensor:
        """Tokens (B, T, P, D) of the windows; backwards ones newest frame first.

        Args:
            windows: B of them.
            views: which view of each; the first by default.
            patches: indices of the patches that are read; all by default.
        """


class WindowTokens:
    """Tokens, or pixels, as the store has them and in its type."""

    def __init__(self, store: TokenStore) -> None:
        self._store = store

    def __call__(
        self, windows: Sequence[Window], views: Sequence[int] | None = None, patches: Tensor | None = None
    ) -> Tensor:
        """See `TokenSource`."""
        chosen = [0] * len(windows) if views is None else views
        return torch.stack([self._one(*pair, patches) for pair in zip(windows, chosen, strict=True)])

    def _one(self, window: Window, view: int, patches: Tensor | None) -> Tensor:
        tokens = self._store.tokens(window.file, window.tensor, view)
        tokens = tokens[window.first : window.first + self._store.clip.num_frames]
        tokens = tokens if patches is None else tokens[:, patches]
        return tokens.flip(0) if window.backwards else tokens


class EncodedWindows:
    """Tokens of windows whose pixels are stored.

    Args:
        pixels: of the store.
        encoder: what makes tokens of them.
        keep_bytes: how much of them is kept, as float16, for when a window comes again; nothing by default,
            since an encoder that is being trained gives others by then.
    """

    def __init__(self, pixels: TokenSource, encoder: WindowEncoder, *, keep_bytes: int = 0) -> None:
        self._pixels = pixels
        self._encoder = encoder
        self._room = keep_bytes
        self._kept: dict[_Name, Tensor] = {}

    @torch.no_grad()
    def __call__(
        self, windows: Sequence[Window], views: Sequence[int] | None = None, patches: Tensor | None = None
    ) -> Tensor:
        """See `TokenSource`; float32, and of backwards windows the frames are encoded backwards."""
        chosen = [0] * len(windows) if views is None else views
        asked = {_name(*pair): pair for pair in zip(windows, chosen, strict=True)}
        found = self._encode({name: pair for name, pair in asked.items() if name not in self._kept})
        parts = [found[name] if name in found else self._kept[name] for name in map(_name, windows, chosen)]
        if patches is not None:
            parts = [part[:, patches.to(part.device)] for part in parts]
        device = next(self._encoder.parameters()).device
        return torch.stack([part.to(device) for part in parts]).float()

    def _encode(self, new: Mapping[_Name, tuple[Window, int]]) -> dict[_Name, Tensor]:
        """Tokens (T, P, D) of windows, all in one pass; those that there is room for are kept."""
        if not new:
            return {}
        device = next(self._encoder.parameters()).device
        windows, views = zip(*new.values(), strict=True)
        found: dict[_Name, Tensor] = {}
        for name, tokens in zip(new, self._encoder(self._pixels(windows, views).to(device)), strict=True):
            if tokens.numel() * torch.float16.itemsize <= self._room:
                self._kept[name] = tokens.to("cpu", torch.float16)
                self._room -= self._kept[name].nbytes
            else:
                found[name] = tokens
        return found


def _name(window: Window, view: int) -> _Name:
    return window.file, window.tensor, window.first, window.backwards, view


def read_windows(store: TokenStore, backbone: Backbone | None = None, *, keep_bytes: int = 0) -> TokenSource:
    """Tokens of a store's windows: as it has them, or what `backbone` makes of its pixels.

    Args:
        store: which.
        backbone: where it holds pixels.
        keep_bytes: how many of the tokens that are made are kept, see `EncodedWindows`.
    """
    stored = WindowTokens(store)
    if backbone is None:
        return stored
    return EncodedWindows(stored, WindowEncoder(backbone.tower, backbone.preprocess), keep_bytes=keep_bytes)
