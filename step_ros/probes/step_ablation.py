"""STEP with one thing changed: the rows of the paper's tables VI to X."""

from __future__ import annotations

import math

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from step_ros.probes.pooled_attention import pooled_attention
from step_ros.probes.probe import Probe, check_num_heads
from step_ros.probes.step_options import StepOptions


class StepAblation(Probe):
    """STEP with options: e~ = {CLS, e_i + t_i}, an attention block, the mean of some outputs, a classifier.

    With the default options it computes what `StepProbe` does. On top of STEP's parameters (2.40 M for
    D = 768, T = 16, 30 classes): "residual" adds a layer norm (2·D), "feed_forward" two and 8·D² + 5·D
    (4.72 M); embeddings a token have T·P·D instead of T·D; "fixed" ones have none.

    Args:
        dim: D, channels of a token.
        num_frames: T, frames in a window.
        num_patches: P, tokens a frame.
        num_classes: K.
        num_heads: H, attention heads; divides `dim`.
        options: what differs from STEP.
        position_std: standard deviation of learned embeddings at the start.

    Raises:
        ValueError: a size is not positive, or `num_heads` does not divide `dim`.
    """

    sinusoid: Tensor

    def __init__(
        self,
        dim: int,
        num_frames: int,
        num_patches: int,
        num_classes: int,
        num_heads: int,
        options: StepOptions,
        *,
        position_std: float = 1.0,
    ) -> None:
        super().__init__(dim, num_frames, num_classes)
        check_num_heads(dim, num_heads)
        self.num_heads = num_heads
        self.options = options
        places = num_patches if options.position_unit == "token" else 1
        self.cls = nn.Parameter(torch.randn(dim)) if options.global_cls else None
        self.position = None
        if options.position in ("learnable", "hybrid"):
            self.position = nn.Parameter(torch.randn(num_frames, places, dim) * position_std)
        if options.position in ("fixed", "hybrid"):
            self.register_buffer(
                "sinusoid", sinusoid(num_frames * places, dim).unflatten(0, (num_frames, -1))
            )
        self.norm = nn.LayerNorm(dim) if options.block != "attention" else nn.Identity()
        self.in_proj = nn.Linear(dim, 3 * dim)
        self.out_proj = nn.Linear(dim, dim)
        if options.block == "feed_forward":
            self.feed_forward = nn.Sequential(
                nn.LayerNorm(dim), nn.Linear(dim, 4 * dim), nn.GELU(), nn.Linear(4 * dim, dim)
            )
        self.classifier = nn.Linear(dim, num_classes)
        nn.init.xavier_uniform_(self.in_proj.weight)
        nn.init.zeros_(self.in_proj.bias)
        nn.init.zeros_(self.out_proj.bias)

    def forward(self, tokens: Tensor, places: Tensor | None = None) -> Tensor:
        """Logits (B, K) of tokens (B, T, P, D).

        Args:
            tokens: all of each frame's, or those of some places.
            places: indices of those places, for embeddings a token; all of them by default.
        """
        self.check_tokens(tokens)
        chosen = slice(None) if places is None or self.options.position_unit == "frame" else places
        if self.options.position in ("fixed", "hybrid"):
            tokens = tokens + self.sinusoid[:, chosen]
        if self.position is not None:
            tokens = tokens + self.position[:, chosen]
        sequence = tokens.flatten(1, 2)  # B T*P D
        if self.cls is not None:
            sequence = torch.cat([self.cls.expand(len(tokens), 1, self.dim), sequence], dim=1)
        logits: Tensor = self.classifier(self._pool(sequence))
        return logits

    def _pool(self, sequence: Tensor) -> Tensor:
        """Attention block and mean: (B, N, D) to (B, D)."""
        first, last = 0, sequence.shape[1]
        if self.options.pooled == "cls":
            last = 1
        elif self.options.pooled == "patches" and self.cls is not None:
            first = 1
        rows = sequence[:, first:last]
        if self.options.block == "feed_forward":
            return self._block_outputs(sequence, first, last).mean(dim=1)
        normed = self.norm(sequence)
        pooled = pooled_attention(normed[:, first:last], normed, self.in_proj, self.num_heads)
        attended: Tensor = self.out_proj(pooled)
        return rows.mean(dim=1) + attended if self.options.block == "residual" else attended

    def _block_outputs(self, sequence: Tensor, first: int, last: int) -> Tensor:
        """Outputs of a whole transformer block, row by row: its feed-forward layer is not linear."""
        query, key, value = (
            part.unflatten(-1, (self.num_heads, -1)).transpose(1, 2)
            for part in self.in_proj(self.norm(sequence)).chunk(3, dim=-1)
        )
        attended = F.scaled_dot_product_attention(query[:, :, first:last], key, value)  # B H M d
        hidden = sequence[:, first:last] + self.out_proj(attended.transpose(1, 2).flatten(2))
        outputs: Tensor = hidden + self.feed_forward(hidden)
        return outputs


def sinusoid(count: int, dim: int) -> Tensor:
    """Fixed sinusoidal embeddings (count, D) of Vaswani et al. (2017), at the tokens' unit scale."""
    rate = torch.exp(-math.log(10_000.0) * torch.arange(0, dim, 2) / dim)  # D/2
    angle = torch.arange(count)[:, None] * rate  # count D/2
    return math.sqrt(2) * torch.stack([angle.sin(), angle.cos()], dim=-1).flatten(1)[:, :dim]
