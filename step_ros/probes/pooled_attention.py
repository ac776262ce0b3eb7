"""The mean over the outputs of multi-head attention, without the outputs."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

_CHUNK = 1 << 20
"""Scores that are in work at once: few enough to stay in a core's cache."""


def pooled_attention(rows: Tensor, sequence: Tensor, in_proj: nn.Linear, num_heads: int) -> Tensor:
    """Mean over queries of MHSA, before its output projection: mean_i sum_j softmax_j(q_i · k_j) v_j.

    The mean is linear, so it may move inside: sum_j (mean_i A_ij) v_j. Only the column means of the softmax
    are needed, and each attention head's values are projected after the sum: one row instead of one a token.

    Args:
        rows: (B, M, D) what queries are made of.
        sequence: (B, N, D) what keys and values are made of.
        in_proj: D to 3·D: queries, keys and values of all heads, in that order.
        num_heads: H.

    Returns:
        (B, D), heads side by side.
    """
    dim = sequence.shape[-1]
    weight, bias = in_proj.weight, in_proj.bias
    query = _split(F.linear(rows, weight[:dim], bias[:dim]), num_heads)  # B H M d
    key = _split(F.linear(sequence, weight[dim : 2 * dim], bias[dim : 2 * dim]), num_heads)  # B H N d
    if not torch.is_grad_enabled() or query.is_cuda:  # fused attention is at home there
        value = _split(F.linear(sequence, weight[2 * dim :], bias[2 * dim :]), num_heads)
        return F.scaled_dot_product_attention(query, key, value).mean(dim=2).flatten(1)
    query = query * float(dim // num_heads) ** -0.5
    means: Tensor = ColumnMeans.apply(query.flatten(0, 1), key.flatten(0, 1))  # type: ignore[no-untyped-call]
    mixed = means.unflatten(0, (-1, num_heads)) @ sequence.to(means.dtype)  # B H D
    by_head = weight[2 * dim :].unflatten(0, (num_heads, -1))  # H d D
    values: Tensor = torch.einsum("bhc,hdc->bhd", mixed.to(by_head.dtype), by_head).flatten(1)
    return values + bias[2 * dim :]


class ColumnMeans(torch.autograd.Function):
    """mean_i softmax_j(q_i · k_j): how much all queries together look at each key.

    Neither the scores nor their gradients are ever whole: both passes go over them in pieces that fit a
    core's cache, and the second computes them anew. With g the gradient of the means over M, and P the
    softmax, that of the scores is P_ij (g_j - r_i) with r = P g; so the gradient of q is P (g k) - r (P k),
    and the one of k is g (P' q) - P' (r q): two products each, and nothing else of the scores' size.
    """

    @staticmethod
    def forward(ctx: Any, query: Tensor, key: Tensor) -> Tensor:
        """Means (G, N) of scaled queries (G, M, d) and keys (G, N, d)."""
        ctx.save_for_backward(query, key)
        means = query.new_zeros(key.shape[:2])
        for groups, rows in _pieces(query, key):
            means[groups] += _softmax(query[groups, rows], key[groups]).sum(dim=1)
        return means.div_(query.shape[1])

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor, Tensor]:
        """Gradients of queries and keys."""
        query, key = ctx.saved_tensors
        gradient = (gradients[0] / query.shape[1])[..., None]  # G N 1
        of_query, of_key = torch.empty_like(query), torch.zeros_like(key)
        d = query.shape[2]
        for groups, rows in _pieces(query, key):
            g, q, k = gradient[groups], query[groups, rows], key[groups]
            softmax = _softmax(q, k)
            by_row = softmax @ torch.cat([g * k, k, g], dim=2)
            r = by_row[..., 2 * d :]
            of_query[groups, rows] = by_row[..., :d] - r * by_row[..., d : 2 * d]
            by_column = softmax.transpose(1, 2) @ torch.cat([q, r * q], dim=2)
            of_key[groups] += g * by_column[..., :d] - by_column[..., d:]
        return of_query, of_key


def _softmax(query: Tensor, key: Tensor) -> Tensor:
    scores = query @ key.transpose(1, 2)
    return torch.softmax(scores, dim=-1, out=scores)


def _pieces(query: Tensor, key: Tensor) -> Iterator[tuple[slice, slice]]:
    """Slices of G and of M that leave at most `_CHUNK` scores at once (and at least one row)."""
    groups, rows, columns = query.shape[0], query.shape[1], key.shape[1]
    at_once = max(1, min(rows, _CHUNK // columns))
    together = max(1, _CHUNK // (at_once * columns))
    for group in range(0, groups, together):
        for row in range(0, rows, at_once):
            yield slice(group, group + together), slice(row, row + at_once)


def _split(projected: Tensor, num_heads: int) -> Tensor:
    """(B, N, D) to (B, H, N, d)."""
    by_head: Tensor = projected.unflatten(-1, (num_heads, -1))
    return by_head.transpose(1, 2)
