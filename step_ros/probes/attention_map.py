"""Where does STEP look, and what does it hand to its classifier?"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from step_ros.probes.head import Head
from step_ros.probes.pooled_attention import ColumnMeans


@dataclass(frozen=True, eq=False)
class AttentionMap:
    """What a STEP head pools from windows."""

    weights: Tensor
    """(B, T, P): how much of each patch token goes into the pooled representation, mean over queries and
    attention heads. They sum to one less the share of the global CLS token."""
    embedding: Tensor
    """(B, D): the pooled representation p of section III-A, which the linear classifier sees."""


@torch.inference_mode()
def attention_map(head: Head, tokens: Tensor) -> AttentionMap:
    """The attention of a STEP head over its window, pooled as its output is (Figure 5 of the STEP paper).

    The mean over all outputs of an attention block is one row of weights times the values: r·V, with r the
    mean over queries of the attention matrix. So r says exactly what the answer is made of.

    Args:
        head: whose probe is STEP.
        tokens: (B, T, P, D) patch tokens, oldest frame first.

    Raises:
        HeadError: the head has another probe.
        ValueError: `tokens` has another shape than the head's.
    """
    probe = head.step
    num_frames, dim = probe.position.shape
    if tokens.ndim != 4 or tokens.shape[1] != num_frames or tokens.shape[3] != dim:
        raise ValueError(f"tokens must be (B, T={num_frames}, P, D={dim}), got {tuple(tokens.shape)}")
    batch = tokens.shape[0]
    normalised = head.prepare(tokens.to(head.device))
    patches = (normalised + probe.position[:, None]).flatten(1, 2)  # B T*P D
    sequence = torch.cat([probe.cls.expand(batch, 1, dim), patches], dim=1)  # B N D
    query, key, value = (
        part.unflatten(-1, (probe.num_heads, -1)).transpose(1, 2)  # B H N D/H
        for part in probe.in_proj(sequence).chunk(3, dim=-1)
    )
    query, key = (query * query.shape[-1] ** -0.5).flatten(0, 1), key.flatten(0, 1)
    means: Tensor = ColumnMeans.apply(query, key)  # type: ignore[no-untyped-call]
    weights = means.unflatten(0, (batch, -1))  # B H N
    pooled = (weights[:, :, None] @ value).flatten(1)  # B D
    return AttentionMap(
        weights=head.pooling.spread(weights.mean(dim=1)[:, 1:].unflatten(1, (num_frames, -1))),
        embedding=probe.out_proj(pooled),
    )
