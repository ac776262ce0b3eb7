"""What an engine takes: a frozen network, what is done to frames before it, and whose tokens it gives."""

from __future__ import annotations

from dataclasses import dataclass

import torch

from step_ros.backbones.errors import BackboneError
from step_ros.backbones.identity import BackboneIdentity, weights_sha256
from step_ros.backbones.preprocess import Preprocess
from step_ros.backbones.vision_tower import VisionTower


@dataclass(frozen=True)
class Encoder:
    """A frozen image encoder, without what runs it."""

    tower: VisionTower
    """The network, which the backbone may move to another device or type, and how to read it."""
    preprocess: Preprocess
    """From frames (B, H, W, 3) to what the network takes (B, 3, h, w)."""
    identity: BackboneIdentity
    """Name, sizes and a digest of the weights as they were saved."""

    @classmethod
    def of(cls, tower: VisionTower, preprocess: Preprocess, *, id: str, source: str = "") -> Encoder:
        """Freeze a network and say who it is, and where it was loaded from.

        Raises:
            BackboneError: images of the size that `preprocess` gives do not fit the network.
        """
        height, width = preprocess.image_size
        if tower.image_size is not None and (height, width) != (tower.image_size, tower.image_size):
            raise BackboneError(
                f"{id}: preprocessor_config.json gives images of {height}x{width} pixels, but the network in "
                f"config.json takes {tower.image_size}x{tower.image_size}"
            )
        if height % tower.patch_size or width % tower.patch_size:
            raise BackboneError(
                f"{id}: images of {height}x{width} pixels cannot be cut into patches of {tower.patch_size}"
            )
        tower.network.eval().requires_grad_(False)
        identity = BackboneIdentity(
            id=id,
            image_size=preprocess.image_size,
            num_patches=(height // tower.patch_size) * (width // tower.patch_size),
            dim=tower.dim,
            sha256=weights_sha256(tower.network),
            preprocess=str(preprocess),
            source=source,
        )
        return cls(tower, preprocess, identity)

    @property
    def device(self) -> torch.device:
        """Where the network is."""
        return next(self.tower.network.parameters()).device

    @property
    def dtype(self) -> torch.dtype:
        """The type of the network's weights."""
        return next(self.tower.network.parameters()).dtype
