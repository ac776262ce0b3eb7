"""STEP: self-attention over all patch tokens of a window, made to feel the order of its frames."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from step_ros.probes.pooled_attention import pooled_attention
from step_ros.probes.probe import Probe, check_num_heads


class StepProbe(Probe):
    """Self-attentive Temporal Embedding Probing (eq. 2 and section III-A of the STEP paper).

    The patch tokens of T frames, each frame shifted by its own learned temporal embedding t_i, and one
    learned global CLS token pass through a single multi-head self-attention block: no layer norm, no
    residual, no feed-forward. The mean over all T·P + 1 outputs, p, goes to a linear classifier.

    Only the temporal embeddings know the order of the frames: with all of them zero the probe gives the same
    answer to a clip played backwards.

    With D = 768, T = 16 and HRI-30's 30 classes this is 2.40 M trainable parameters (4·D² + 4·D of attention,
    T·D of temporal embeddings, D of CLS, K·(D + 1) of classifier); the paper's table I reports 2.6 M.

    Args:
        dim: D, channels of a token.
        num_frames: T, frames in a window.
        num_classes: K.
        num_heads: H, attention heads; divides `dim`.
        position_std: standard deviation of the temporal embeddings at the start. Tokens arrive at unit scale
            (see `TokenNormalization`), so the embeddings start there too: at 0.02, as is usual inside
            deep transformers, they vanish in the attention and small data sets never learn the order.

    Raises:
        ValueError: a size is not positive, or `num_heads` does not divide `dim`.
    """

    def __init__(
        self, dim: int, num_frames: int, num_classes: int, num_heads: int, *, position_std: float = 1.0
    ) -> None:
        super().__init__(dim, num_frames, num_classes)
        check_num_heads(dim, num_heads)
        self.num_heads = num_heads
        self.cls = nn.Parameter(torch.empty(dim))
        self.position = nn.Parameter(torch.empty(num_frames, dim))
        self.in_proj = nn.Linear(dim, 3 * dim)
        self.out_proj = nn.Linear(dim, dim)
        self.classifier = nn.Linear(dim, num_classes)
        self._initialise(position_std)

    def _initialise(self, position_std: float) -> None:
        """Start where nn.MultiheadAttention starts, with the embeddings at the tokens' own scale."""
        nn.init.normal_(self.cls)
        nn.init.normal_(self.position, std=position_std)
        nn.init.xavier_uniform_(self.in_proj.weight)
        nn.init.zeros_(self.in_proj.bias)
        nn.init.zeros_(self.out_proj.bias)

    def forward(self, tokens: Tensor) -> Tensor:
        """Classify windows.

        Args:
            tokens: (B, T, P, D) patch tokens, oldest frame first.

        Returns:
            Logits (B, K).

        Raises:
            ValueError: `tokens` is not (B, T, P, D) with this probe's T and D.
        """
        self.check_tokens(tokens)
        patches = (tokens + self.position[:, None]).flatten(1, 2)  # B T*P D
        cls = self.cls.expand(len(tokens), 1, self.dim)
        sequence = torch.cat([cls, patches], dim=1)  # B N D, N = T*P + 1
        pooled = pooled_attention(sequence, sequence, self.in_proj, self.num_heads)  # B D
        # The output projection is affine, so it may follow the mean: one row to project instead of N.
        logits: Tensor = self.classifier(self.out_proj(pooled))
        return logits
