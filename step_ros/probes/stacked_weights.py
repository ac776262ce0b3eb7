"""Weights of several STEP probes, rewritten for streaming and stacked to run as one batch."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from step_ros.probes.step import StepProbe


@dataclass(frozen=True, eq=False)
class StackedWeights:
    """What streaming needs of H attention heads of each of n probes; G = n·H, and d channels a head.

    Queries are scaled by log2(e) / sqrt(d): scores are then exponents of two, the cheaper exponential.

    V is the number of values a token carries through the attention. Everything after the attention is linear,
    so a token's value may be taken through to the logits at once: with K <= d classes its K contributions to
    the logits go through each head instead of d channels.
    """

    project: Tensor
    """(n, H·(2d + V), D): queries, keys and values of a token, head by head."""
    project_bias: Tensor
    """(n, H·(2d + V), 1); values have none, since attention weights sum to one (see `constant`)."""
    position_query: Tensor
    """(G, T, d): a_p = W_q pe_p, scaled."""
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
    def of(cls, probes: Sequence[StepProbe], heads: range) -> StackedWeights:
        """Stack these heads of probes that agree in T, D, H and dtype; in float64: nothing is lost."""
        parts = [_weights_of(probe, heads, *value_and_class_counts(probes)) for probe in probes]
        reference = probes[0].cls
        stacked = (torch.stack(part) for part in zip(*parts, strict=True))
        d = reference.shape[0] // probes[0].num_heads
        project, project_bias, positions, cls_token, readout, constant = stacked
        at = positions.flatten(0, 1)  # G 2d+V T, of the positions
        cls_at = cls_token.flatten(0, 1)  # G 2d+V, of the CLS token
        query, key, value = at.split([d, d, at.shape[1] - 2 * d], dim=1)
        fields = (
            project.flatten(1, 2),
            project_bias.flatten(1, 2)[..., None],
            query.transpose(1, 2),
            key.transpose(1, 2),
            value.transpose(1, 2),
            query.transpose(1, 2) @ key,
            cls_at[:, None, :d],
            cls_at[:, d : 2 * d, None],
            cls_at[:, 2 * d :],
            readout,
            constant,
        )
        return cls(*(field.to(reference).contiguous() for field in fields))


def value_and_class_counts(probes: Sequence[StepProbe]) -> tuple[int, int]:
    """V and K of probes that are stacked."""
    classes = [probe.classifier.out_features for probe in probes]
    d = probes[0].cls.shape[0] // probes[0].num_heads
    return max(min(count, d) for count in classes), max(classes)


@torch.no_grad()
def _weights_of(probe: StepProbe, taken: range, num_values: int, num_classes: int) -> list[Tensor]:
    """One probe's part of `StackedWeights`, padded to V values and K classes, in float64."""
    heads = probe.num_heads
    weight, bias = probe.in_proj.weight.double(), probe.in_proj.bias.double()
    dim = weight.shape[1]
    d = dim // heads
    query, key, value = (part.unflatten(0, (heads, d)) for part in weight.split(dim))  # H d D
    query_bias, key_bias, value_bias = (part.unflatten(0, (heads, d)) for part in bias.split(dim))
    classifier, out = probe.classifier.weight.double(), probe.out_proj.weight.double()
    after = (classifier @ out).unflatten(1, (heads, d)).transpose(0, 1)  # H K d
    constant = classifier @ (out @ value_bias.flatten() + probe.out_proj.bias.double())
    constant = constant + probe.classifier.bias.double()
    if after.shape[1] <= d:
        value = after @ value
        after = torch.eye(after.shape[1], dtype=after.dtype, device=after.device).expand(heads, -1, -1)
    part = slice(taken.start, taken.stop)
    query, key, value, query_bias, key_bias, after = (
        whole[part] for whole in (query, key, value, query_bias, key_bias, after)
    )
    if taken.start > 0:
        constant = torch.zeros_like(constant)
    value = _pad(value, 1, num_values)
    readout = _pad(_pad(after, 1, num_classes), 2, num_values).transpose(0, 1).flatten(1)  # K H·V
    scale = math.log2(math.e) / math.sqrt(d)
    project = torch.cat([query * scale, key, value], dim=1)  # H 2d+V D
    project_bias = torch.cat([query_bias * scale, key_bias, torch.zeros_like(value[..., 0])], dim=1)
    positions = project @ probe.position.double().T  # H 2d+V T
    cls_token = project @ probe.cls.double() + project_bias  # H 2d+V
    return [project, project_bias, positions, cls_token, readout, _pad(constant, 0, num_classes)]


def _pad(tensor: Tensor, dim: int, size: int) -> Tensor:
    """`tensor` with zeros behind it along `dim`, up to `size`."""
    shape = list(tensor.shape)
    shape[dim] = size - shape[dim]
    return torch.cat([tensor, tensor.new_zeros(shape)], dim=dim)
