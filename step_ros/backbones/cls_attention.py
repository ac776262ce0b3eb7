"""Where does a backbone look by itself?"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from step_ros.backbones.backbone import Backbone
from step_ros.backbones.errors import BackboneError


@torch.inference_mode()
def cls_attention(backbone: Backbone, rgb: NDArray[np.uint8]) -> Tensor:
    """What the frame's CLS token attends to in the last layer: each patch's share, mean over attention heads.

    Args:
        backbone: runs in PyTorch whatever its engine is: others do not tell their attention.
        rgb: (B, H, W, 3) uint8 frames.

    Returns:
        (B, P) on the backbone's device; the CLS token's own share and the register tokens' are left out.

    Raises:
        BackboneError: the network does not tell its attention.
    """
    pixels = backbone.preprocess(torch.from_numpy(np.ascontiguousarray(rgb)).to(backbone.device))
    network: Any = backbone.network
    with _eager_attention(network):
        attentions = network(pixel_values=pixels.to(backbone.dtype), output_attentions=True).attentions
    if not attentions or attentions[-1] is None:
        raise BackboneError(f"{backbone.identity.id}: the network does not tell its attention")
    last: Tensor = attentions[-1]  # B H N N
    return last[:, :, 0, backbone.tower.num_prefix_tokens :].mean(dim=1).float()


@contextmanager
def _eager_attention(network: Any) -> Iterator[None]:
    """Fused attention has no weights to show; older transformers go over to the plain one by themselves."""
    before = getattr(network.config, "_attn_implementation", None)
    change = getattr(network, "set_attn_implementation", None)
    if change is None or before in (None, "eager"):
        yield
        return
    change("eager")
    try:
        yield
    finally:
        change(before)
