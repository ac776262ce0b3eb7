"""What every adapter is: a small module in each block of a frozen vision transformer."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from torch import Tensor, nn


@dataclass(frozen=True)
class Place:
    """Where in which network an adapter sits."""

    layer: int
    """Index of the block, from 0."""
    num_layers: int
    """Blocks of the network."""
    dim: int
    """D, channels of a token."""
    num_heads: int
    """Attention heads of a block."""
    num_prefix_tokens: int
    """CLS and register tokens, which come before the patches."""
    grid: tuple[int, int]
    """Rows and columns of patches; P is their product."""
    patch_size: int
    """Width and height of a patch, in pixels."""
    num_frames: int
    """T, frames of a window; 1 for adapters that see single frames."""


class Adapter(nn.Module):
    """An adapter of one block; what it does not override leaves the block as it is.

    A block with an adapter computes, of hidden tokens x (B·T, N, D), CLS first,

        x = before_attention(x)
        x = x + attention(norm(x))
        x = before_mlp(x)
        x = x + mlp(norm(x)) + beside_mlp(norm(x))
        x = after(x)

    Args:
        place: where it sits.
        size: how large it is, in the adapter's own unit.
    """

    sees_time: ClassVar[bool]
    """Whether tokens of a frame depend on the other frames of its window."""
    published_size: ClassVar[int]
    """`size` as published, for a ViT-B."""

    def __init__(self, place: Place, size: int) -> None:
        super().__init__()
        self.place = place
        self.size = size

    def before_attention(self, hidden: Tensor) -> Tensor:
        """What the block's attention reads, and what it is added to."""
        return hidden

    def before_mlp(self, hidden: Tensor) -> Tensor:
        """What the block's MLP reads, and what it is added to."""
        return hidden

    def beside_mlp(self, normed: Tensor) -> Tensor | None:
        """What is added beside the MLP's output, of the MLP's own input."""
        return None

    def after(self, hidden: Tensor) -> Tensor:
        """What the next block gets."""
        return hidden


def windows_of(hidden: Tensor, num_frames: int) -> Tensor:
    """Tokens of frames (B·T, N, D) by window: (B, T, N, D).

    Raises:
        ValueError: the frames are no whole windows.
    """
    if len(hidden) % num_frames:
        raise ValueError(
            f"this adapter looks at windows of {num_frames} frames, got {len(hidden)} frames; "
            "give whole windows, oldest frame first"
        )
    windows: Tensor = hidden.unflatten(0, (-1, num_frames))
    return windows
