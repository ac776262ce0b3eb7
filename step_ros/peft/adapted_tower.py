"""A frozen image encoder with adapters in its blocks."""

from __future__ import annotations

import copy
from collections.abc import Iterator, Mapping
from dataclasses import replace
from typing import Any

from torch import Tensor, nn

from step_ros.backbones import BackboneError
from step_ros.backbones.vision_tower import VisionTower
from step_ros.peft.adapted_block import AdaptedBlock
from step_ros.peft.adapter import Adapter, Place
from step_ros.peft.adapter_config import ADAPTERS, AdapterConfig


class AdaptedTower(nn.Module):
    """An image encoder whose weights are frozen, with an adapter in each block.

    It shares the weights of the tower it is made of, which stays as it was.

    Args:
        tower: the image encoder.
        config: which adapter; its weights are fresh.
        image_size: height and width, in pixels, of the images.
        adapters: the table that its name is looked up in.

    Raises:
        AdapterError: the table lacks it.
        BackboneError: the network's blocks cannot take adapters.

    Attributes:
        tower: the encoder with adapters: it takes images as the plain one does.
        adapters: one a block; only their parameters are trained, and are saved.
        adapter_class: what they are.
        place: where the first of them sits.
    """

    def __init__(
        self,
        tower: VisionTower,
        config: AdapterConfig,
        image_size: tuple[int, int],
        adapters: Mapping[str, type[Adapter]] = ADAPTERS,
    ) -> None:
        super().__init__()
        self.config = config
        self.adapter_class = config.find(adapters)
        self.tower = _share(tower)
        self.network = self.tower.network.eval().requires_grad_(False)
        blocks = blocks_of(self.network)
        settings: Any = self.network.config
        self.place = place = Place(
            layer=0,
            num_layers=len(blocks),
            dim=tower.dim,
            num_heads=int(settings.num_attention_heads),
            num_prefix_tokens=tower.num_prefix_tokens,
            grid=(image_size[0] // tower.patch_size, image_size[1] // tower.patch_size),
            patch_size=tower.patch_size,
            num_frames=config.num_frames,
        )
        self.adapters = nn.ModuleList()
        for index, block in enumerate(blocks):
            adapter = self.adapter_class(replace(place, layer=index), config.size)
            self.adapters.append(adapter)
            blocks[index] = AdaptedBlock(block, adapter, tower.model_type)

    def forward(self, pixels: Tensor) -> Tensor:
        """Tokens (B, T, P, D) of preprocessed windows (B, T, 3, h, w), oldest frame first."""
        tokens = self.tower.tokens(pixels.flatten(0, 1))
        windows: Tensor = tokens.unflatten(0, tuple(pixels.shape[:2]))
        return windows

    def train(self, mode: bool = True) -> AdaptedTower:
        """Stay in evaluation mode: the frozen network has no dropout to switch on."""
        return super().train(False)

    def checkpoint_blocks(self, enabled: bool = True) -> None:
        """Compute each block again on the way back, instead of keeping what is in it."""
        for block in self.adapted_blocks():
            block.checkpointing = enabled

    def adapted_blocks(self) -> Iterator[AdaptedBlock]:
        """The blocks, first to last."""
        for block in self.network.modules():
            if isinstance(block, AdaptedBlock):
                yield block

    def num_trained(self) -> int:
        """Parameters that are trained."""
        return sum(int(p.numel()) for p in self.adapters.parameters() if p.requires_grad)


def blocks_of(network: nn.Module) -> nn.ModuleList:
    """The blocks of a vision transformer, wherever this release of transformers keeps them.

    Raises:
        BackboneError: it has none.
    """
    settings: Any = network.config
    for module in network.modules():
        if isinstance(module, nn.ModuleList) and len(module) == settings.num_hidden_layers:
            return module
    raise BackboneError(f"{type(network).__name__} has no list of {settings.num_hidden_layers} blocks")


def _share(tower: VisionTower) -> VisionTower:
    """The same encoder made of modules of its own, with the very same weights."""
    tensors = [*tower.network.parameters(), *tower.network.buffers()]
    return copy.deepcopy(tower, {id(tensor): tensor for tensor in tensors})
