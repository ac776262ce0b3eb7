"""Averages the patch tokens of small squares: fewer tokens, for probes on little data or little time."""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn


class TokenPooling(nn.Module):
    """Means over squares of `side` x `side` patches of a frame; a frame at a time, so it streams.

    Attention costs the square of the number of tokens: sides of 2 make it 16 times cheaper.

    Args:
        side: of the squares, in patches; 1 leaves tokens alone.
        grid: rows and columns of patches in a frame (see `patch_grid`).

    Raises:
        ValueError: squares of `side` do not fill the grid.
    """

    def __init__(self, side: int, grid: tuple[int, int]) -> None:
        super().__init__()
        rows, columns = grid
        if side < 1 or rows % side or columns % side:
            raise ValueError(
                f"token_pooling={side} does not divide the backbone's {rows}x{columns} patches; choose a "
                "divisor of both"
            )
        self.side = side
        self.grid = grid

    @property
    def num_tokens(self) -> int:
        """Tokens a frame that are left."""
        return self.grid[0] * self.grid[1] // self.side**2

    def forward(self, tokens: Tensor) -> Tensor:
        """Pool tokens (..., P, D) to (..., P / side², D)."""
        if self.side == 1:
            return tokens
        rows, columns, side = *self.grid, self.side
        squares: Tensor = tokens.unflatten(-2, (rows // side, side, columns // side, side))
        pooled: Tensor = squares.mean(dim=(-4, -2)).flatten(-3, -2)
        return pooled

    def patches(self, places: Tensor) -> Tensor:
        """Indices (N, side²) of the patches whose means are the pooled tokens at `places` (N,)."""
        rows, columns = self.grid
        index = torch.arange(rows * columns, device=places.device).unflatten(0, self.grid)
        squares: Tensor = index.unfold(0, self.side, self.side).unfold(1, self.side, self.side)
        return squares.flatten(-2).flatten(0, 1)[places]

    def spread(self, weights: Tensor) -> Tensor:
        """The other way round: weights (..., P / side²) of pooled tokens, dealt out to patches (..., P)."""
        rows, columns, side = *self.grid, self.side
        squares: Tensor = weights.unflatten(-1, (rows // side, columns // side)) / side**2
        spread = squares.repeat_interleave(side, dim=-2).repeat_interleave(side, dim=-1)
        return spread.flatten(-2)

    def extra_repr(self) -> str:
        """The side and grid, for `print(head)`."""
        return f"side={self.side}, grid={self.grid}"


def patch_grid(image_size: tuple[int, int], num_patches: int) -> tuple[int, int]:
    """Rows and columns of the square patches that an image is cut into.

    Args:
        image_size: height and width of the image, in pixels.
        num_patches: P.

    Raises:
        ValueError: no square patches fill the image in that number.
    """
    height, width = image_size
    patch = math.isqrt(height * width // num_patches)
    if patch < 1 or (height // patch) * (width // patch) != num_patches:
        raise ValueError(f"an image of {height}x{width} is not made of {num_patches} square patches")
    return height // patch, width // patch
