"""Frames kept as they are: what is stored where a backbone itself is to be trained with its heads."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from step_ros.backbones import Backbone, BackboneIdentity, Preprocess
from step_ros.backbones.vision_tower import VisionTower
from step_ros.training.windows import Window, WindowTokens


class RawPatches:
    """Takes a backbone's place where a store is written: tokens are a frame's pixels, patch by patch.

    Frames are resized and cropped as the backbone asks, which is what it would see of them. The store says
    whose pixels they are: its identity is that backbone's, but for D, which is three bytes a pixel.

    Args:
        backbone: for which frames are kept.
    """

    def __init__(self, backbone: Backbone) -> None:
        self._preprocess = backbone.preprocess
        self._patch_size = backbone.tower.patch_size
        self._device = backbone.device
        self.identity: BackboneIdentity = replace(backbone.identity, dim=3 * self._patch_size**2)

    def encode(self, rgb: Tensor | NDArray[np.uint8]) -> Tensor:
        """Frames (B, H, W, 3) uint8 as patches of pixels (B, P, 3·p²) uint8."""
        frames = torch.from_numpy(np.ascontiguousarray(rgb)) if isinstance(rgb, np.ndarray) else rgb
        images = self._preprocess.cut(frames.to(self._device)).to(torch.uint8)
        return to_patches(images, self._patch_size)


class WindowEncoder(nn.Module):
    """From stored pixels to tokens: a backbone, adapted or not, on whole windows.

    Args:
        tower: the image encoder; if it is adapted, the adapter's weights are this module's parameters too.
        preprocess: the backbone's.
    """

    def __init__(self, tower: VisionTower, preprocess: Preprocess) -> None:
        super().__init__()
        self.network = tower.network
        self._tower = tower
        self._preprocess = preprocess

    def forward(self, patches: Tensor) -> Tensor:
        """Tokens (B, T, P, D) of windows of pixels (B, T, P, 3·p²), oldest frame first."""
        frames = to_images(patches.flatten(0, 1), self._preprocess.image_size, self._tower.patch_size)
        tokens = self._tower.tokens(self._preprocess.normalise(frames))
        windows: Tensor = tokens.unflatten(0, tuple(patches.shape[:2]))
        return windows

    def train(self, mode: bool = True) -> WindowEncoder:
        """Stay in evaluation mode, as backbones do."""
        return super().train(False)


class EncodedWindows:
    """Tokens of windows whose pixels are stored.

    Args:
        pixels: of the store.
        encoder: what makes tokens of them.
        keep_bytes: how much of them is kept, as float16, for when a window comes again; nothing by default,
            since an encoder that is being trained gives others by then.
    """

    def __init__(self, pixels: WindowTokens, encoder: WindowEncoder, *, keep_bytes: int = 0) -> None:
        self._pixels = pixels
        self._encoder = encoder
        self._room = keep_bytes
        self._kept: dict[tuple[object, ...], Tensor] = {}

    @torch.no_grad()
    def __call__(
        self, windows: Sequence[Window], views: Sequence[int] | None = None, patches: Tensor | None = None
    ) -> Tensor:
        """Tokens (B, T, P, D), as of `WindowTokens`; of backwards ones the frames are encoded backwards."""
        chosen = [0] * len(windows) if views is None else views
        tokens = torch.stack([self._one(*pair) for pair in zip(windows, chosen, strict=True)])
        return tokens if patches is None else tokens[:, :, patches.to(tokens.device)]

    def _one(self, window: Window, view: int) -> Tensor:
        name = (window.video, window.tensor, window.first, window.backwards, view)
        if name in self._kept:
            return self._kept[name].float()
        device = next(self._encoder.parameters()).device
        tokens: Tensor = self._encoder(self._pixels([window], [view]).to(device))[0]
        narrow = tokens.to("cpu", torch.float16)
        if narrow.nbytes <= self._room:
            self._room -= narrow.nbytes
            self._kept[name] = narrow
            return narrow.float()
        return tokens


def to_patches(images: Tensor, patch_size: int) -> Tensor:
    """Cut images (B, 3, h, w) into patches of pixels (B, P, 3·p²), row by row."""
    batch, channels, height, width = images.shape
    rows, columns = height // patch_size, width // patch_size
    cut = images.reshape(batch, channels, rows, patch_size, columns, patch_size)
    return cut.permute(0, 2, 4, 1, 3, 5).reshape(batch, rows * columns, -1)


def to_images(patches: Tensor, image_size: tuple[int, int], patch_size: int) -> Tensor:
    """Undo `to_patches`."""
    rows, columns = (size // patch_size for size in image_size)
    cut = patches.reshape(len(patches), rows, columns, 3, patch_size, patch_size)
    return cut.permute(0, 3, 1, 4, 2, 5).reshape(len(patches), 3, *image_size)
