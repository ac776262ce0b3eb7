"""Attentive probing: one learned query looks at all tokens."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from step_ros.probes.pooled_attention import pooled_attention
from step_ros.probes.probe import Probe, check_num_heads


class AttentiveProbe(Probe):
    """Attentive probing ("Attn Probing" in the STEP paper's table I): a cross-attention block, one query q.

    h = q + MHA(q, LN(e), LN(e)) over all T·P tokens e; p = h + FF(LN(h)); y = W·p + b. It is the pooling by
    multi-head attention of the Set Transformer (Lee et al., 2019) as CoCa and V-JEPA use it for probing.
    No token knows when it was seen, so a clip played backwards gets the same answer.

    With D = 768 and 30 classes 7.11 M parameters (4·D² + 4·D of attention, 8·D² + 5·D of feed-forward, 5·D of
    query and norms, K·(D + 1) of classifier); the paper reports 7.3 M.

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
        self.query = nn.Parameter(torch.empty(dim))
        self.norm = nn.LayerNorm(dim)
        self.in_proj = nn.Linear(dim, 3 * dim)
        self.out_proj = nn.Linear(dim, dim)
        self.feed_forward_norm = nn.LayerNorm(dim)
        self.expand = nn.Linear(dim, 4 * dim)
        self.contract = nn.Linear(4 * dim, dim)
        self.classifier = nn.Linear(dim, num_classes)
        nn.init.normal_(self.query)
        nn.init.xavier_uniform_(self.in_proj.weight)
        nn.init.zeros_(self.in_proj.bias)
        nn.init.zeros_(self.out_proj.bias)

    def forward(self, tokens: Tensor) -> Tensor:
        """Logits (B, K) of tokens (B, T, P, D)."""
        self.check_tokens(tokens)
        query = self.query.expand(len(tokens), 1, self.dim)
        sequence = self.norm(tokens.flatten(1, 2))  # B T*P D
        attended = self.out_proj(pooled_attention(query, sequence, self.in_proj, self.num_heads))  # B D
        hidden = self.query + attended
        hidden = hidden + self.contract(F.gelu(self.expand(self.feed_forward_norm(hidden))))
        logits: Tensor = self.classifier(hidden)
        return logits
