"""Visual prompt tuning: learned tokens beside a frame's own."""

from __future__ import annotations

import math
from typing import ClassVar

import torch
from torch import Tensor, nn

from step_ros.peft.adapter import Adapter, Place


class VptShallow(Adapter):
    """VPT-Shallow (Jia et al., ECCV 2022, eq. 4 and 5): p learned tokens join before the first block.

        [x_1, Z_1, E_1] = L_1([x_0, P, E_0]),   [x_i, Z_i, E_i] = L_i([x_{i-1}, Z_{i-1}, E_{i-1}])

    with CLS x, patches E and prompts P, which start as in the paper, uniformly in ±sqrt(6 / (3·patch² + D)).
    p·D parameters. The paper finds p by search, from 1 to 200, and takes p = 50 where it compares; the same
    here.

    Difference from the paper: it classifies by CLS, here probes read the patches; prompts leave after the
    last block.
    """

    sees_time: ClassVar[bool] = False
    published_size: ClassVar[int] = 50

    def __init__(self, place: Place, size: int) -> None:
        super().__init__(place, size)
        if self._brings_prompts:
            self.prompts = nn.Parameter(prompt_tokens(size, place))

    @property
    def _brings_prompts(self) -> bool:
        return self.place.layer == 0

    @property
    def _takes_prompts(self) -> bool:
        return self.place.layer == self.place.num_layers - 1

    def before_attention(self, hidden: Tensor) -> Tensor:
        """Put the prompts after CLS and registers; they have no position."""
        return insert_tokens(hidden, self.prompts, self.place) if self._brings_prompts else hidden

    def before_mlp(self, hidden: Tensor) -> Tensor:
        """Take the prompts out once no attention will read them any more."""
        return remove_tokens(hidden, self.size, self.place) if self._takes_prompts else hidden


class VptDeep(VptShallow):
    """VPT-Deep (Jia et al., ECCV 2022, eq. 6): p learned tokens of each block's own.

        [x_i, _, E_i] = L_i([x_{i-1}, P_{i-1}, E_{i-1}])

    L·p·D parameters, L blocks. What a block makes of its prompts is thrown away, so here they leave before
    its MLP: the same tokens for less computing. Otherwise as `VptShallow`.
    """

    @property
    def _brings_prompts(self) -> bool:
        return True

    @property
    def _takes_prompts(self) -> bool:
        return True


def prompt_tokens(count: int, place: Place) -> Tensor:
    """Fresh prompts (count, D), uniform in VPT's bounds."""
    bound = math.sqrt(6 / (3 * place.patch_size**2 + place.dim))
    return torch.empty(count, place.dim).uniform_(-bound, bound)


def insert_tokens(hidden: Tensor, tokens: Tensor, place: Place) -> Tensor:
    """Put tokens (n, D), or (B·T, n, D), between prefix and patches of hidden tokens (B·T, N, D)."""
    # Not len(hidden), which torch.export would take for a constant.
    extra = tokens.to(hidden.dtype).expand(hidden.shape[0], -1, -1)
    prefix = place.num_prefix_tokens
    return torch.cat([hidden[:, :prefix], extra, hidden[:, prefix:]], dim=1)


def remove_tokens(hidden: Tensor, count: int, place: Place) -> Tensor:
    """Undo `insert_tokens` of so many."""
    prefix = place.num_prefix_tokens
    return torch.cat([hidden[:, :prefix], hidden[:, prefix + count :]], dim=1)
