"""Self-attention probing: STEP without what makes it feel order."""

from __future__ import annotations

from torch import Tensor, nn

from step_ros.probes.pooled_attention import pooled_attention
from step_ros.probes.probe import Probe, check_num_heads


class SelfAttentionProbe(Probe):
    """Self-attention probing ("Self-Attn Probing" in the STEP paper's tables I and X).

    z_i = sum_j alpha_ij v_j (section III) over the T·P patch tokens, the mean of all z_i, a linear
    classifier: no temporal embeddings and no global CLS token, so a clip played backwards gets the same
    answer.

    With D = 768 and 30 classes 2.39 M parameters (4·D² + 4·D of attention, K·(D + 1) of classifier); the
    paper reports 2.6 M.

    Args:
        dim: D, channels of a token.
        num_frames: T, frames in a window.
        num_classes: K.
        num_heads: H, attention heads; divides `dim`.
    """

    def __init__(self, dim: int, num_frames: int, num_classes: int, num_heads: int) -> None:
        super().__init__(dim, num_frames, num_classes)
        check_num_heads(dim, num_heads)
        self.num_heads = num_heads
        self.in_proj = nn.Linear(dim, 3 * dim)
        self.out_proj = nn.Linear(dim, dim)
        self.classifier = nn.Linear(dim, num_classes)
        nn.init.xavier_uniform_(self.in_proj.weight)
        nn.init.zeros_(self.in_proj.bias)
        nn.init.zeros_(self.out_proj.bias)

    def forward(self, tokens: Tensor) -> Tensor:
        """Logits (B, K) of tokens (B, T, P, D)."""
        self.check_tokens(tokens)
        sequence = tokens.flatten(1, 2)  # B T*P D
        pooled = pooled_attention(sequence, sequence, self.in_proj, self.num_heads)
        logits: Tensor = self.classifier(self.out_proj(pooled))
        return logits
