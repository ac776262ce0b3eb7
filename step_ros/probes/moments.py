"""The moments probe: tokens where things move, weighed over time by even and odd functions."""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn

from step_ros.probes.probe import Probe

CELLS = 2
"""A frame is looked at in CELLS x CELLS cells."""

_STILL = 1e-6
"""Change that every patch has beside its own, in units of a token: a still window is pooled evenly."""


class MomentsProbe(Probe):
    """A linear classifier on temporal moments of the tokens of a window, pooled where they change.

    With e_tp the token of patch p in frame t, and time s_t even from -1 (oldest) to 1 (newest):

        b_1 = s,  b_2 = sin(pi s),  b_3 = 1,  b_4 = cos(pi s)        each scaled to unit length
        a_p = mean over t of |e_t+1,p - e_tp|                         how much a patch changes
        m_kc = sum over p in cell c of a_p / sum(a) · sum over t of b_k(t) e_tp
        y = W m + b

    b_1 alone is approximate rank pooling (Fernando et al., 2015; Bilen et al., 2016). The first two functions
    are odd and the others even, and a_p knows no order: a window played backwards has the same moments, but
    for the sign of the odd half (`backwards`). So one example of *open* is also one of *close*, and W can be
    found in closed form from a handful (see `moments_fit`).

    With D = 768 and 30 classes 0.37 M parameters (K·(16·D + 1)).

    Args:
        dim: D, channels of a token.
        num_frames: T, frames in a window; at least 2.
        grid: rows and columns of tokens in a frame; P of them.
        num_classes: K.

    Raises:
        ValueError: a size is not positive, there is one frame, or the grid has less than 2 rows or columns.
    """

    basis: Tensor
    """(4, T)."""
    cells: Tensor
    """(C, P), 1 where a patch lies in a cell."""

    def __init__(self, dim: int, num_frames: int, grid: tuple[int, int], num_classes: int) -> None:
        super().__init__(dim, num_frames, num_classes)
        if num_frames < 2 or min(grid) < CELLS:
            raise ValueError(
                f"moments need at least 2 frames and {CELLS}x{CELLS} patches, got {num_frames} frames of "
                f"{grid[0]}x{grid[1]}"
            )
        self.grid = grid
        # These are constants, and not in a head's file: they have values also where weights have none yet.
        self.register_buffer("basis", temporal_basis(num_frames), persistent=False)
        self.register_buffer("cells", cells_of(grid), persistent=False)
        self.classifier = nn.Linear(len(self.basis) * len(self.cells) * dim, num_classes)

    def forward(self, tokens: Tensor) -> Tensor:
        """Logits (B, K) of tokens (B, T, P, D).

        Raises:
            ValueError: `tokens` is not (B, T, P, D) with this probe's T, P and D.
        """
        logits: Tensor = self.classifier(self.moments(tokens).flatten(1))
        return logits

    def moments(self, tokens: Tensor) -> Tensor:
        """Moments (B, 4, C, D) of tokens (B, T, P, D), oldest frame first.

        Raises:
            ValueError: `tokens` is not (B, T, P, D) with this probe's T, P and D.
        """
        self.check_tokens(tokens)
        if tokens.shape[2] != self.cells.shape[1]:
            raise ValueError(f"tokens must be those of {self.cells.shape[1]} patches, got {tokens.shape[2]}")
        changes = torch.linalg.vector_norm(tokens.diff(dim=1), dim=-1)  # B T-1 P
        return self.pool(tokens, changes.sum(1), self.basis)

    def pool(self, tokens: Tensor, change: Tensor, basis: Tensor) -> Tensor:
        """Moments (B, 4, C, D), once the change (B, P) of each patch over the window is known.

        Args:
            tokens: (B, T, P, D), frames in the order of `basis`.
            change: sums of what the window's T - 1 steps change, in units of a token.
            basis: (4, T).
        """
        by_patch = (basis @ tokens.flatten(2)).unflatten(2, tokens.shape[2:])  # B 4 P D
        change = change + _STILL
        weights = self.cells * (change / change.sum(-1, keepdim=True))[:, None]  # B C P
        pooled: Tensor = weights[:, None] @ by_patch
        return pooled


def temporal_basis(num_frames: int) -> Tensor:
    """The functions (4, T) that weigh frames, oldest first: ramp, sine, mean, cosine; of unit length."""
    time = torch.linspace(-1, 1, num_frames, dtype=torch.float64, device="cpu")
    basis = torch.stack([time, torch.sin(math.pi * time), torch.ones_like(time), torch.cos(math.pi * time)])
    basis[:2] = (basis[:2] - basis[:2].flip(1)) / 2  # odd to the last bit
    unit: Tensor = basis / torch.linalg.vector_norm(basis, dim=1, keepdim=True)
    return unit.float()


def cells_of(grid: tuple[int, int]) -> Tensor:
    """Which patches (C, P) of a grid lie in which cell; an odd row or column goes to the later one."""
    row, column = (torch.arange(size, device="cpu") * CELLS // size for size in grid)
    cell = (row[:, None] * CELLS + column).flatten()
    return nn.functional.one_hot(cell, CELLS**2).T.float()


def backwards(moments: Tensor) -> Tensor:
    """Moments (..., 4, C, D) of the same windows played backwards."""
    sign = moments.new_tensor([-1, -1, 1, 1])
    return moments * sign[:, None, None]
