"""Tokens of windows, as they are stored or made of stored pixels, and what a head says of them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import torch
from torch import Tensor

from step_ros.backbones import Backbone
from step_ros.probes import Head
from step_ros.training.raw_patches import WindowEncoder
from step_ros.training.store import TokenStore
from step_ros.training.windows import Window, label_of

KEPT_BYTES = 4 * 10**9
"""Tokens of a frozen backbone that are kept, so that most windows pass it once."""

_Name = tuple[str, str, int, bool, int]


class WindowTokens:
    """Where the tokens of windows come from.

    Args:
        store: gives tokens, or pixels, in its type.
        encoder: makes float32 tokens of stored pixels; None takes what is stored.
        keep_bytes: how many of the tokens that it makes are kept, as float16, for when a window comes again;
            none by default, since an encoder that is being trained gives others by then.
    """

    def __init__(
        self, store: TokenStore, encoder: WindowEncoder | None = None, *, keep_bytes: int = 0
    ) -> None:
        self._store = store
        self._encoder = encoder
        self._room = keep_bytes
        self._kept: dict[_Name, Tensor] = {}

    @torch.no_grad()
    def __call__(
        self, windows: Sequence[Window], views: Sequence[int] | None = None, patches: Tensor | None = None
    ) -> Tensor:
        """Tokens (B, T, P, D) of the windows; backwards ones newest frame first, and so they are encoded.

        Args:
            windows: B of them.
            views: which view of each; the first by default.
            patches: indices of the patches that are read; all by default.
        """
        pairs = list(zip(windows, views or [0] * len(windows), strict=True))
        encoder = self._encoder
        if encoder is None:
            return torch.stack([self._stored(*pair, patches) for pair in pairs])
        asked = {_name(*pair): pair for pair in pairs}
        found = self._encode(encoder, {name: asked[name] for name in asked if name not in self._kept})
        parts = [found[name] if name in found else self._kept[name] for name in (_name(*p) for p in pairs)]
        if patches is not None:
            parts = [part[:, patches.to(part.device)] for part in parts]
        device = next(encoder.parameters()).device
        return torch.stack([part.to(device) for part in parts]).float()

    def encoded_by(self, encoder: WindowEncoder) -> WindowTokens:
        """The tokens that an encoder, as it is by then, makes of the store's pixels."""
        return WindowTokens(self._store, encoder)

    def _stored(self, window: Window, view: int, patches: Tensor | None = None) -> Tensor:
        tokens = self._store.tokens(window.file, window.tensor, view)
        tokens = tokens[window.first : window.first + self._store.clip.num_frames]
        tokens = tokens if patches is None else tokens[:, patches]
        return tokens.flip(0) if window.backwards else tokens

    def _encode(self, encoder: WindowEncoder, new: Mapping[_Name, tuple[Window, int]]) -> dict[_Name, Tensor]:
        """Tokens (T, P, D) of windows, all in one pass; those that there is room for are kept."""
        if not new:
            return {}
        device = next(encoder.parameters()).device
        pixels = torch.stack([self._stored(*pair) for pair in new.values()])
        found: dict[_Name, Tensor] = {}
        for name, tokens in zip(new, encoder(pixels.to(device)), strict=True):
            if tokens.numel() * torch.float16.itemsize <= self._room:
                self._kept[name] = tokens.to("cpu", torch.float16)
                self._room -= self._kept[name].nbytes
            else:
                found[name] = tokens
        return found


def _name(window: Window, view: int) -> _Name:
    return window.file, window.tensor, window.first, window.backwards, view


def read_windows(store: TokenStore, backbone: Backbone | None = None, *, keep_bytes: int = 0) -> WindowTokens:
    """Tokens of a store's windows: as it has them, or what `backbone` makes of its pixels."""
    encoder = None if backbone is None else WindowEncoder(backbone.tower, backbone.preprocess)
    return WindowTokens(store, encoder, keep_bytes=keep_bytes)


@torch.no_grad()
def window_logits(
    head: Head, windows: Sequence[Window], tokens_of: WindowTokens, batch: int = 16
) -> tuple[Tensor, Tensor]:
    """Logits (N, K) of windows that have a label of the head's task, and the indices (N,) of their labels."""
    index = {label: i for i, label in enumerate(head.config.labels)}
    labelled = [(w, label_of(w, head.config.task)) for w in windows]
    known = [(w, index[label]) for w, label in labelled if label in index]
    parts = [
        head(tokens_of([w for w, _ in known[i : i + batch]]).to(head.device).float()).float().cpu()
        for i in range(0, len(known), batch)
    ]
    logits = torch.cat(parts) if parts else torch.zeros(0, len(index))
    return logits, torch.tensor([target for _, target in known], dtype=torch.long)
