"""Linear probing: a classifier on the mean of all tokens."""

from __future__ import annotations

from torch import Tensor, nn

from step_ros.probes.probe import Probe


class LinearProbe(Probe):
    """Linear probing ("Linear Probing" in the STEP paper's table I): y = W · mean(e) + b, over all tokens e.

    A mean does not know the order of frames: a clip played backwards gets the same answer.

    With D = 768 and 30 classes 0.02 M parameters (K·(D + 1)); the paper reports 0.3 M.

    Args:
        dim: D, channels of a token.
        num_frames: T, frames in a window.
        num_classes: K.
    """

    def __init__(self, dim: int, num_frames: int, num_classes: int) -> None:
        super().__init__(dim, num_frames, num_classes)
        self.classifier = nn.Linear(dim, num_classes)

    def forward(self, tokens: Tensor) -> Tensor:
        """Logits (B, K) of tokens (B, T, P, D)."""
        self.check_tokens(tokens)
        logits: Tensor = self.classifier(tokens.mean(dim=(1, 2)))
        return logits
