"""An encoder's network as runtimes take it: pixels in, tokens out, for one size of image."""

from __future__ import annotations

import copy
import warnings
from typing import Any

import torch
from torch import Tensor, nn
from torch.export import Dim, ExportedProgram, export

from step_ros.backbones.encoder import Encoder
from step_ros.backbones.engines.engine import MAX_BATCH


class FixedSizeTower(nn.Module):
    """A copy of an image encoder for one image size, from float32 pixels to float32 patch tokens.

    DINOv2 stretches its position embeddings anew for each image. Here that is done once, in float32: no
    engine has to support the operation, or to spend time on it.

    Args:
        encoder: whose network is copied, to where that is.
        precision: the type that the network computes in.
    """

    def __init__(self, encoder: Encoder, precision: torch.dtype) -> None:
        super().__init__()
        self._tower = copy.deepcopy(encoder.tower)
        self.network = self._tower.network.to(torch.float32)
        self.image_size = encoder.identity.image_size
        self._precision = precision
        if self._tower.model_type.startswith("dinov2"):
            _settle_positions(self.network, self.image_size, self._tower.patch_size)
        self.to(dtype=precision).eval().requires_grad_(False)

    def forward(self, pixels: Tensor) -> Tensor:
        """Tokens (B, P, D), float32, of preprocessed images (B, 3, h, w), float32."""
        return self._tower.tokens(pixels.to(self._precision)).to(torch.float32)


def export_program(module: FixedSizeTower) -> ExportedProgram:
    """The network as a graph that takes 1 to `MAX_BATCH` images."""
    device = next(module.parameters()).device
    # Of two, because torch takes a dimension of one for a constant.
    example = torch.zeros(2, 3, *module.image_size, device=device)
    batch = Dim("batch", min=1, max=MAX_BATCH)
    with torch.no_grad(), warnings.catch_warnings():
        warnings.simplefilter("ignore", FutureWarning)  # of torch, at itself
        return export(module, (example,), dynamic_shapes={"pixels": {0: batch}})


def _settle_positions(network: nn.Module, image_size: tuple[int, int], patch_size: int) -> None:
    embeddings: Any = network.embeddings
    height, width = image_size
    num_positions = 1 + (height // patch_size) * (width // patch_size)
    learned = embeddings.position_embeddings
    with torch.no_grad():
        # Of what it is given, only the shape matters.
        like = torch.empty(1, num_positions, learned.shape[-1], device=learned.device)
        settled = embeddings.interpolate_pos_encoding(like, height, width)
    embeddings.position_embeddings = nn.Parameter(settled.clone(), requires_grad=False)
    embeddings.interpolate_pos_encoding = lambda *_: embeddings.position_embeddings
