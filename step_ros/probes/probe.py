"""What every probe is: a module from the patch tokens of a window to logits."""

from __future__ import annotations

from abc import ABC, abstractmethod

from torch import Tensor, nn


class Probe(nn.Module, ABC):
    """The one interface of all probes: tokens (B, T, P, D) in, logits (B, K) out.

    Tokens arrive pooled and normalised as the head says (see `Head.prepare`), oldest frame first.

    Args:
        dim: D, channels of a token.
        num_frames: T, frames in a window.
        num_classes: K.

    Raises:
        ValueError: a size is not positive.
    """

    def __init__(self, dim: int, num_frames: int, num_classes: int) -> None:
        super().__init__()
        for name, size in (("dim", dim), ("num_frames", num_frames), ("num_classes", num_classes)):
            if size < 1:
                raise ValueError(f"{name} must be at least 1, got {size}")
        self.dim = dim
        self.num_frames = num_frames

    @abstractmethod
    def forward(self, tokens: Tensor) -> Tensor:
        """Logits (B, K) of tokens (B, T, P, D).

        Raises:
            ValueError: `tokens` is not (B, T, P, D) with this probe's T and D.
        """

    def check_tokens(self, tokens: Tensor) -> None:
        """Raise ValueError unless `tokens` is (B, T, P, D) with this probe's T and D."""
        if tokens.ndim != 4 or tokens.shape[1] != self.num_frames or tokens.shape[3] != self.dim:
            raise ValueError(
                f"tokens must be (B, T={self.num_frames}, P, D={self.dim}), "
                f"got a tensor of shape {tuple(tokens.shape)}"
            )


def check_num_heads(dim: int, num_heads: int) -> None:
    """Raise ValueError unless `num_heads` divides `dim`."""
    if num_heads < 1 or dim % num_heads:
        raise ValueError(f"num_heads must divide dim, got num_heads={num_heads} and dim={dim}")
