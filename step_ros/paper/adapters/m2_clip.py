"""M2-CLIP's TED-Adapter: temporal enhancement and temporal difference."""

from __future__ import annotations

from typing import ClassVar

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from step_ros.paper.adapters.st_adapter import over_frames
from step_ros.peft.adapter import Adapter, Place, windows_of


class M2Clip(Adapter):
    """TED-Adapter (M2-CLIP, Wang et al., AAAI 2024): what comes back over time, and what changes.

        x = x + Conv1D(x·A_down)·A_up + Conv2D((x_t - x_{t-1})·B_down)·B_up        before each MLP

    Temporal enhancement (A) convolves each token, CLS included, over 3 frames; temporal difference (B)
    convolves the changes of patch tokens over 3 by 3 patches. All convolutions are depthwise, on r = 384
    channels, and start at zero. The change of a window's first frame is zero.

    On a ViT-B 14.25 M parameters (L·(4·r·D + 16·r + 2·D)). Published: 14.8 M, which are these, another 0.26 M
    of an adapter after CLIP's projection, which probes do not read, and 0.31 M of a classifier of 400
    classes. Here is the visual side; the authors' text adapters are in `text_side`, and the other losses of
    their decoder are left out.
    """

    sees_time: ClassVar[bool] = True
    published_size: ClassVar[int] = 384

    def __init__(self, place: Place, size: int) -> None:
        super().__init__(place, size)
        self.enhance_down = nn.Linear(place.dim, size)
        self.enhance_conv = nn.Conv1d(size, size, kernel_size=3, padding=1, groups=size)
        self.enhance_up = nn.Linear(size, place.dim)
        self.change_down = nn.Linear(place.dim, size)
        self.change_conv = nn.Conv2d(size, size, kernel_size=3, padding=1, groups=size)
        self.change_up = nn.Linear(size, place.dim)
        for conv in (self.enhance_conv, self.change_conv):
            nn.init.zeros_(conv.weight)
        for name, parameter in self.named_parameters():
            if name.endswith("bias"):
                nn.init.zeros_(parameter)

    def before_mlp(self, hidden: Tensor) -> Tensor:
        """Add enhancement to all tokens, and change to the patches."""
        place = self.place
        enhanced: Tensor = self.enhance_up(
            over_frames(self.enhance_conv, self.enhance_down(hidden), place.num_frames)
        )
        patches = windows_of(hidden[:, place.num_prefix_tokens :], place.num_frames)  # B T P D
        before = torch.cat([patches[:, :1], patches[:, :-1]], dim=1)
        change = self.change_down((patches - before).flatten(0, 1))  # B*T P r
        images = change.transpose(1, 2).unflatten(2, place.grid)  # B*T r h w
        moved: Tensor = self.change_up(self.change_conv(images).flatten(2).transpose(1, 2))
        return hidden + enhanced + F.pad(moved, (0, 0, place.num_prefix_tokens, 0))
