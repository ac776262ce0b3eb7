"""Weights of several STEP or self-attention probes, rewritten for streaming, stacked to run as one batch."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from step_ros.probes.probe import Probe
from step_ros.probes.self_attention import SelfAttentionProbe
from step_ros.probes.step import StepProbe
from step_ros.probes.streaming.batched_product import multiply

AttentionProbe = StepProbe | SelfAttentionProbe
"""What streams; self-attention has the weights of a STEP whose embeddings and CLS token are zero."""


@dataclass(frozen=True, eq=False)
class StackedWeights:
    """What streaming needs of H attention heads of each of n probes; G = n·H, and d channels a head.

    Queries are scaled by log2(e) / sqrt(d): scores are then exponents of two, the cheaper exponential.

    V is the number of values a token carries through the attention. A token's value is taken to the logits at
    once (identity 2): with K <= d classes its K contributions to the logits go through each head instead of d
    channels.
    """

    query_key: Tensor
    """(n, 2·H·d, D): a token's queries, head by head, and then its keys. What a key's bias adds to the scores
    of a row is the same for all keys, so keys have none."""
    query_bias: Tensor
    """(G, 1, d), scaled."""
    value: Tensor
    """(n, H·V, D): a token's values, head by head; they have no bias, since attention weights sum to one (see
    `constant`)."""
    position_query: Tensor
    """(G, T, d): identity 1's a_p = W_q pe_p, scaled."""
    position_key: Tensor
    """(G, T, d): b_s = W_k pe_s."""
    position_value: Tensor
    """(G, T, V): W_v pe_s."""
    position_score: Tensor
    """(G, T, T): a_p · b_s."""
    cls_query: Tensor
    """(G, 1, d): of the global CLS token, scaled."""
    cls_key: Tensor
    """(G, d, 1)."""
    cls_value: Tensor
    """(G, V)."""
    readout: Tensor
    """(n, K, H·V): from the values pooled by each head to logits; K is the most classes of any probe."""
    constant: Tensor
    """(n, K): what the biases of value, output projection and classifier add to the logits; it goes with
    the probes' first head, and is zero where that one is not taken."""

    @classmethod
    def of(cls, probes: Sequence[AttentionProbe], heads: range) -> StackedWeights:
        """Stack these heads of probes that agree in T, D, H and dtype; in float64: nothing is lost."""
        parts = [_weights_of(probe, heads, *value_and_class_counts(probes)) for probe in probes]
        reference = probes[0].in_proj.weight
        stacked = (torch.stack(part) for part in zip(*parts, strict=True))
        d = probes[0].dim // probes[0].num_heads
        query, query_bias, key, value, positions, cls_token, readout, constant = stacked
        at = positions.flatten(0, 1)  # G 2d+V T, of the positions
        cls_at = cls_token.flatten(0, 1)  # G 2d+V, of the CLS token
        query_at, key_at, value_at = at.split([d, d, at.shape[1] - 2 * d], dim=1)
        fields = (
            torch.cat([query.flatten(1, 2), key.flatten(1, 2)], dim=1),
            query_bias.flatten(0, 1)[:, None],
            value.flatten(1, 2),
            query_at.transpose(1, 2),
            key_at.transpose(1, 2),
            value_at.transpose(1, 2),
            query_at.transpose(1, 2) @ key_at,
            cls_at[:, None, :d],
            cls_at[:, d : 2 * d, None],
            cls_at[:, 2 * d :],
            readout,
            constant,
        )
        return cls(*(field.to(reference).contiguous() for field in fields))

    def project(self, tokens: Tensor, work: Tensor, queries: Tensor, keys: Tensor, values: Tensor) -> None:
        """Write a frame's queries and keys (G, P, d) and values (G, V, P), with no position in them.

        Args:
            tokens: (n, P, D) normalised.
            work: (n, P, 2·H·d), written over.
            queries: written.
            keys: written.
            values: written.
        """
        multiply(tokens, self.query_key, out=work)
        for part, projected in zip((queries, keys), work.chunk(2, dim=2), strict=True):
            by_head = projected.unflatten(2, (-1, part.shape[2])).transpose(1, 2)  # n H P d
            part.view_as(by_head).copy_(by_head)
        queries.add_(self.query_bias)
        multiply(self.value, tokens, out=values.view(len(tokens), -1, tokens.shape[1]))

    def read_out(self, pooled: Tensor) -> Tensor:
        """These heads' part of the logits (n, K), of what they pooled (G, V)."""
        by_probe = pooled.view(len(self.readout), -1, 1)  # n H·V 1
        return torch.baddbmm(self.constant[..., None], self.readout, by_probe)[..., 0]


def attention_probe(probe: Probe) -> AttentionProbe:
    """The probe, which is one that streams; an assertion where it is not."""
    assert isinstance(probe, AttentionProbe)
    return probe


def value_and_class_counts(probes: Sequence[AttentionProbe]) -> tuple[int, int]:
    """V and K of probes that are stacked."""
    classes = [probe.classifier.out_features for probe in probes]
    d = probes[0].dim // probes[0].num_heads
    return max(min(count, d) for count in classes), max(classes)


@torch.no_grad()
def _weights_of(probe: AttentionProbe, taken: range, num_values: int, num_classes: int) -> list[Tensor]:
    """One probe's part of `StackedWeights`, padded to V values and K classes, in float64."""
    heads = probe.num_heads
    weight, bias = probe.in_proj.weight.double(), probe.in_proj.bias.double()
    dim = weight.shape[1]
    d = dim // heads
    query, key, value = (part.unflatten(0, (heads, d)) for part in weight.split(dim))  # H d D
    query_bias, _, value_bias = (part.unflatten(0, (heads, d)) for part in bias.split(dim))
    classifier, out = probe.classifier.weight.double(), probe.out_proj.weight.double()
    after = (classifier @ out).unflatten(1, (heads, d)).transpose(0, 1)  # H K d
    constant = classifier @ (out @ value_bias.flatten() + probe.out_proj.bias.double())
    constant = constant + probe.classifier.bias.double()
    if after.shape[1] <= d:
        value = after @ value
        after = torch.eye(after.shape[1], dtype=after.dtype, device=after.device).expand(heads, -1, -1)
    part = slice(taken.start, taken.stop)
    query, key, value, query_bias, after = (whole[part] for whole in (query, key, value, query_bias, after))
    if taken.start > 0:
        constant = torch.zeros_like(constant)
    value = _pad(value, 1, num_values)
    readout = _pad(_pad(after, 1, num_classes), 2, num_values).transpose(0, 1).flatten(1)  # K H·V
    scale = math.log2(math.e) / math.sqrt(d)
    query, query_bias = query * scale, query_bias * scale
    project = torch.cat([query, key, value], dim=1)  # H 2d+V D
    position, cls_token = weight.new_zeros(probe.num_frames, dim), weight.new_zeros(dim)
    if isinstance(probe, StepProbe):
        position, cls_token = probe.position.double(), probe.cls.double()
    positions = project @ position.T  # H 2d+V T
    cls_token = project @ cls_token  # H 2d+V
    cls_token[:, :d] += query_bias
    return [query, query_bias, key, value, positions, cls_token, readout, _pad(constant, 0, num_classes)]


def _pad(tensor: Tensor, dim: int, size: int) -> Tensor:
    """`tensor` with zeros behind it along `dim`, up to `size`."""
    shape = list(tensor.shape)
    shape[dim] = size - shape[dim]
    return torch.cat([tensor, tensor.new_zeros(shape)], dim=dim)
