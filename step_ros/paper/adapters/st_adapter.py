"""ST-Adapter: a bottleneck with a convolution over time."""

from __future__ import annotations

from typing import ClassVar

from torch import Tensor, nn
from torch.nn import functional as F

from step_ros.peft.adapter import Adapter, Place, windows_of


class StAdapter(Adapter):
    """ST-Adapter (Pan et al., NeurIPS 2022, eq. 3 and 4): a depthwise 3D convolution in a bottleneck.

        x = x + DWConv3D(x·W_down)·W_up        for the patch tokens of a window, before each attention

    with r = 384 channels and a kernel of 3 frames by 1 by 1 patches. The convolution starts at zero, so
    training starts from the backbone as it is. On a ViT-B 7.11 M parameters (L·(2·r·D + 5·r + D)); published:
    7.1 M.

    As in the authors' code, and unlike their equation, there is no activation between convolution and W_up.
    The authors' larger variant has another one before each MLP.
    """

    sees_time: ClassVar[bool] = True
    published_size: ClassVar[int] = 384

    def __init__(self, place: Place, size: int) -> None:
        super().__init__(place, size)
        self.down = nn.Linear(place.dim, size)
        # A kernel of 3 by 1 by 1 is one over frames only.
        self.conv = nn.Conv1d(size, size, kernel_size=3, padding=1, groups=size)
        self.up = nn.Linear(size, place.dim)
        for zero in (self.down.bias, self.up.bias, self.conv.weight, self.conv.bias):
            if zero is not None:
                nn.init.zeros_(zero)

    def before_attention(self, hidden: Tensor) -> Tensor:
        """Add to each patch token what its place shows in the frames around."""
        prefix = self.place.num_prefix_tokens
        added = self.up(over_frames(self.conv, self.down(hidden[:, prefix:]), self.place.num_frames))
        return hidden + F.pad(added, (0, 0, prefix, 0))


def over_frames(conv: nn.Conv1d, tokens: Tensor, num_frames: int) -> Tensor:
    """Convolve tokens (B·T, N, r) over the T frames of each window, every place for itself."""
    windows = windows_of(tokens, num_frames)  # B T N r
    lines = windows.permute(0, 2, 3, 1).flatten(0, 1)  # B*N r T
    convolved: Tensor = conv(lines).unflatten(0, (len(windows), -1))  # B N r T
    return convolved.permute(0, 3, 1, 2).flatten(0, 1)
