"""A STEP head as one would write it with PyTorch's own attention module."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from step_ros.probes import Head


class NaiveHead(nn.Module):
    """The same function as a `Head`, from `nn.MultiheadAttention`: all of its N outputs are projected.

    Args:
        head: whose weights it copies.
    """

    def __init__(self, head: Head) -> None:
        super().__init__()
        probe = head.step
        dim = probe.cls.shape[0]
        self.normalization = head.normalization
        self.cls, self.position = probe.cls, probe.position
        self.attention = nn.MultiheadAttention(dim, probe.num_heads, batch_first=True).to(probe.cls.device)
        with torch.no_grad():
            self.attention.in_proj_weight.copy_(probe.in_proj.weight)
            self.attention.in_proj_bias.copy_(probe.in_proj.bias)
            self.attention.out_proj.load_state_dict(probe.out_proj.state_dict())
        self.classifier = probe.classifier
        self.eval()
        # There is no dropout: all this does is to turn off its fast path, which on CPUs is the slower one.
        self.attention.train()

    def forward(self, tokens: Tensor) -> Tensor:
        """Logits (B, K) of patch tokens (B, T, P, D)."""
        patches = (self.normalization(tokens) + self.position[:, None]).flatten(1, 2)
        sequence = torch.cat([self.cls.expand(len(tokens), 1, -1), patches], dim=1)  # B N D
        attended, _ = self.attention(sequence, sequence, sequence, need_weights=False)
        logits: Tensor = self.classifier(attended.mean(dim=1))
        return logits
