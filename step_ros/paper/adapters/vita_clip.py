"""Vita-CLIP's visual prompts: global, local, and a summary of the window."""

from __future__ import annotations

from typing import ClassVar

import torch
from torch import Tensor, nn

from step_ros.peft.adapter import Adapter, Place, windows_of
from step_ros.peft.vpt import insert_tokens, prompt_tokens, remove_tokens


class VitaClip(Adapter):
    """Vita-CLIP's visual side (Wasim et al., CVPR 2023, eq. 5 to 9): three kinds of prompts for each block.

        global   G        p learned tokens, the same in every frame
        local    L + c    one learned token a frame plus that frame's projected CLS; all T in every frame
        summary  s_t      c + MHSA(LN(c)), c the projected CLS tokens of the window; each frame gets its own

    They join before a block's attention and leave after it: [x_t, G, L + c, s_t, E_t]. With p = 8 and T = 16
    on a ViT-B 28.59 M parameters are trained (L·(4·D² + 6·D + (p + T)·D)), most of them in the summary's
    attention; published: 28.6 M.

    As in the authors' code the projection of CLS is random and stays so (0.59 M a block that are not
    trained). Left out: the embedding of time that they add before the first block (T·D). Their learned text
    prompts are in `text_side`.
    """

    sees_time: ClassVar[bool] = True
    published_size: ClassVar[int] = 8

    def __init__(self, place: Place, size: int) -> None:
        super().__init__(place, size)
        self.project_cls = nn.Linear(place.dim, place.dim).requires_grad_(False)
        self.global_prompts = nn.Parameter(prompt_tokens(size, place))
        self.local_prompts = nn.Parameter(prompt_tokens(place.num_frames, place))
        self.summary_norm = nn.LayerNorm(place.dim)
        self.summary_attention = nn.MultiheadAttention(place.dim, place.num_heads, batch_first=True)

    def before_attention(self, hidden: Tensor) -> Tensor:
        """Put all prompts in, in front of the patches."""
        cls = self.project_cls(windows_of(hidden, self.place.num_frames)[:, :, 0])  # B T D
        normed = self.summary_norm(cls)
        summary = cls + self.summary_attention(normed, normed, normed, need_weights=False)[0]
        local = (self.local_prompts + cls).repeat_interleave(self.place.num_frames, dim=0)  # B*T T D
        everywhere = self.global_prompts.expand(len(hidden), -1, -1)
        prompts = torch.cat([everywhere, local, summary.flatten(0, 1)[:, None]], dim=1)
        return insert_tokens(hidden, prompts, self.place)

    def before_mlp(self, hidden: Tensor) -> Tensor:
        """Take them out again."""
        return remove_tokens(hidden, self.size + self.place.num_frames + 1, self.place)
