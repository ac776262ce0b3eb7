"""Frames kept as they are: what is stored where a backbone itself is to be trained with its heads."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn import functional as F

from step_ros.backbones import BackboneIdentity, Encoder, Preprocess
from step_ros.backbones.vision_tower import VisionTower


class RawPatches:
    """Takes a backbone's place where a store is written: tokens are a frame's pixels, patch by patch.

    Frames are resized and cropped as the backbone asks, which is what it would see of them. The store says
    whose pixels they are: its identity is that backbone's, but for D, which is three bytes a pixel.

    Args:
        encoder: of the backbone for which frames are kept.
    """

    def __init__(self, encoder: Encoder) -> None:
        self._preprocess = encoder.preprocess
        self._patch_size = encoder.tower.patch_size
        self._device = encoder.device
        self.identity: BackboneIdentity = replace(encoder.identity, dim=3 * self._patch_size**2)

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


def to_patches(images: Tensor, patch_size: int) -> Tensor:
    """Cut images (B, 3, h, w) into patches of pixels (B, P, 3·p²), row by row."""
    return F.pixel_unshuffle(images, patch_size).flatten(2).transpose(1, 2)


def to_images(patches: Tensor, image_size: tuple[int, int], patch_size: int) -> Tensor:
    """Undo `to_patches`."""
    rows_and_columns = [size // patch_size for size in image_size]
    return F.pixel_shuffle(patches.transpose(1, 2).unflatten(2, rows_and_columns), patch_size)
