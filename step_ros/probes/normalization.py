"""What is done to patch tokens before a probe adds its temporal embeddings."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from step_ros.probes.kinds import NORMALIZATIONS


class TokenNormalization(nn.Module):
    """Brings every token to a common scale; each token on its own, so a frame is normalised once and streams.

    Kinds:
        - ``"none"``: the tokens as the backbone gives them.
        - ``"layer_norm"``: zero mean and unit variance over the D channels of each token, nothing learned.
        - ``"channel"``: each channel minus the training set's mean, over its standard deviation (`fit`).

    Args:
        kind: one of `NORMALIZATIONS`.
        dim: D, channels of a token.

    Raises:
        ValueError: `kind` is unknown.
    """

    mean: Tensor
    std: Tensor

    def __init__(self, kind: str, dim: int) -> None:
        super().__init__()
        if kind not in NORMALIZATIONS:
            raise ValueError(f"unknown token normalization {kind!r}; known are {', '.join(NORMALIZATIONS)}")
        self.kind = kind
        self.dim = dim
        if kind == "channel":
            self.register_buffer("mean", torch.zeros(dim))
            self.register_buffer("std", torch.ones(dim))

    def fit(self, mean: Tensor, std: Tensor) -> None:
        """Set the training set's channel statistics, each (D,); a channel that never varies is only centred.

        Raises:
            ValueError: the kind is not "channel", a shape is not (D,), or a value is not finite or negative.
        """
        if self.kind != "channel":
            raise ValueError(f"{self.kind!r} normalization has no statistics to fit; use 'channel'")
        for name, values in (("mean", mean), ("std", std)):
            if tuple(values.shape) != (self.dim,):
                raise ValueError(f"{name} must have shape ({self.dim},), got {tuple(values.shape)}")
            if not bool(torch.isfinite(values).all()):
                raise ValueError(f"{name} holds values that are not finite")
        if bool((std < 0).any()):
            raise ValueError("std holds negative values")
        self.mean.copy_(mean)
        self.std.copy_(torch.where(std > 0, std, torch.ones_like(std)))

    def forward(self, tokens: Tensor) -> Tensor:
        """Normalise tokens of shape (..., D); the shape stays."""
        if self.kind == "layer_norm":
            return F.layer_norm(tokens, (self.dim,))
        if self.kind == "channel":
            return (tokens - self.mean) / self.std
        return tokens

    def extra_repr(self) -> str:
        """The kind and size, for `print(head)`."""
        return f"{self.kind!r}, dim={self.dim}"
