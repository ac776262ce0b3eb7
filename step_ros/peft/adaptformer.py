"""AdaptFormer: a bottleneck beside each MLP."""

from __future__ import annotations

import math
from typing import ClassVar

from torch import Tensor, nn
from torch.nn import functional as F

from step_ros.peft.adapter import Adapter, Place

SCALE = 0.1


class AdaptFormer(Adapter):
    """AdaptFormer (Chen et al., NeurIPS 2022, eq. 4 and 5): a bottleneck of r channels beside each MLP.

        x_l = MLP(LN(x'_l)) + s·ReLU(LN(x'_l)·W_down + b_down)·W_up + s·b_up + x'_l,   s = 0.1

    W_up and both biases start at zero, so training starts from the backbone as it is. With r = 64 and a ViT-B
    1.19 M parameters (L·(2·r·D + r + D)), as the paper's AdaptFormer-64.

    Differences: the authors' code, unlike their equation, leaves out the layer norm in front of the
    bottleneck; here it is the equation's, so that the bottleneck can be merged into the MLP. Dropout of the
    code's (0.1) is left out. In DINOv2 the bottleneck is outside of the layer scale.
    """

    sees_time: ClassVar[bool] = False
    published_size: ClassVar[int] = 64

    def __init__(self, place: Place, size: int) -> None:
        super().__init__(place, size)
        self.down = nn.Linear(place.dim, size)
        self.up = nn.Linear(size, place.dim)
        nn.init.kaiming_uniform_(self.down.weight, a=math.sqrt(5))
        for zero in (self.down.bias, self.up.weight, self.up.bias):
            nn.init.zeros_(zero)

    def beside_mlp(self, normed: Tensor) -> Tensor:
        """The bottleneck's output, of the MLP's input (B·T, N, D)."""
        added: Tensor = self.up(F.relu(self.down(normed)))
        return SCALE * added
