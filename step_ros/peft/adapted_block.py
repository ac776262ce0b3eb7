"""A block of a vision transformer with an adapter in it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, nn
from torch.utils.checkpoint import checkpoint

from step_ros.backbones import BackboneError
from step_ros.peft.adapter import Adapter

# What transformers calls the parts of a block: first norm, attention, its scale, second norm, MLP, its scale.
_PARTS = {
    "vit": ("layernorm_before", "attention", None, "layernorm_after", "mlp", None),
    "dinov2": ("norm1", "attention", "layer_scale1", "norm2", "mlp", "layer_scale2"),
    "clip": ("layer_norm1", "self_attn", None, "layer_norm2", "mlp", None),
}


class AdaptedBlock(nn.Module):
    """Stands in a block's place, computes what the block does from its own parts, and what `Adapter` says.

    Args:
        block: of transformers' ViT, DINOv2 or CLIP.
        adapter: what is added.
        model_type: as in config.json, which says what the block's parts are called.

    Raises:
        BackboneError: the block has other parts, as before transformers 5.
    """

    def __init__(self, block: nn.Module, adapter: Adapter, model_type: str) -> None:
        super().__init__()
        self.block = block
        self.adapter = adapter
        self.checkpointing = False
        """Whether the block is computed again on the way back, which takes less memory and more time."""
        self._names = part_names(block, model_type)

    def part(self, index: int) -> Callable[..., Any]:
        """A part of the block by its place in `_PARTS`; what it lacks passes everything."""
        name = self._names[index]
        part: Callable[..., Any] = _same if name is None else getattr(self.block, name)
        return part

    def forward(self, hidden: Tensor, attention_mask: object = None, **kwargs: Any) -> Tensor:
        """Hidden tokens (B·T, N, D) after the block; the mask, of images none, is not read."""
        if self.checkpointing and torch.is_grad_enabled():
            output: Tensor = checkpoint(self._compute, hidden, kwargs, use_reentrant=False)
            return output
        return self._compute(hidden, kwargs)

    def _compute(self, hidden: Tensor, kwargs: dict[str, Any]) -> Tensor:
        norm1, attention, scale1, norm2, mlp, scale2 = (self.part(index) for index in range(6))
        hidden = self.adapter.before_attention(hidden)
        attended, *_ = attention(norm1(hidden), None, **kwargs)
        hidden = hidden + scale1(attended)
        hidden = self.adapter.before_mlp(hidden)
        normed = norm2(hidden)
        beside = self.adapter.beside_mlp(normed)
        hidden = hidden + scale2(mlp(normed))
        return self.adapter.after(hidden if beside is None else hidden + beside)


def part_names(block: nn.Module, model_type: str) -> tuple[str | None, ...]:
    """What the parts of a block are called; None for a scale that it has not.

    Raises:
        BackboneError: the block has other parts.
    """
    import transformers

    names = next(names for kind, names in _PARTS.items() if model_type.startswith(kind))
    missing = [name for name in names if name is not None and not hasattr(block, name)]
    # Before, some blocks gave tuples.
    if missing or int(transformers.__version__.split(".")[0]) < 5:
        lacks = f"; a block of this {model_type} has no {', '.join(missing)}" if missing else ""
        raise BackboneError(
            f"adapters need transformers 5 or newer, this is {transformers.__version__}{lacks}"
        )
    return names


def _same(hidden: Tensor) -> Tensor:
    return hidden
