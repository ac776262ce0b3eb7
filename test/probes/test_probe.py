"""Probes of every kind: blind to order or not, how large, and how they answer beside heads that stream."""

from __future__ import annotations

from typing import Any

import pytest
import torch

from step_ros.probes import (
    PROBE_KINDS,
    AttentiveProbe,
    LinearProbe,
    MomentsProbe,
    Probe,
    SelfAttentionProbe,
    StepAblation,
    StepOptions,
    StepProbe,
    StreamingHeads,
)

from .small_heads import CLASSES, make_head, make_tokens


@pytest.mark.parametrize("kind", [kind for kind in PROBE_KINDS if kind not in ("step", "moments")])
@torch.no_grad()
def test_rivals_are_blind_to_order(kind: str) -> None:
    head, tokens = make_head(kind=kind), make_tokens()
    torch.testing.assert_close(head(tokens.flip(1)), head(tokens), atol=1e-5, rtol=1e-4)
    assert head(tokens).shape == (2, CLASSES)


@pytest.mark.parametrize(
    ("probe", "count"),
    [
        (LinearProbe(768, 16, 30), 23_070),
        (SelfAttentionProbe(768, 16, 30, 12), 2_385_438),
        (AttentiveProbe(768, 16, 30, 12), 7_111_710),
        (MomentsProbe(768, 16, (16, 16), 30), 368_670),
        (StepProbe(768, 16, 30, 12), 2_398_494),
        (StepAblation(768, 16, 256, 30, 12, StepOptions(block="residual")), 2_398_494 + 2 * 768),
        (StepAblation(768, 16, 256, 30, 12, StepOptions(position_unit="token")), 2_398_494 + 255 * 16 * 768),
    ],
    ids=lambda value: type(value).__name__ if isinstance(value, Probe) else str(value),
)
def test_parameter_counts_are_those_of_the_docstrings(probe: Probe, count: int) -> None:
    assert sum(parameter.numel() for parameter in probe.parameters()) == count


@pytest.mark.parametrize(
    "probe",
    [
        *({"kind": kind} for kind in PROBE_KINDS if kind not in ("step", "self_attention", "moments")),
        {"options": StepOptions(position="hybrid")},
        {"token_pooling": 2},
    ],
    ids=str,
)
@torch.no_grad()
def test_heads_without_a_streaming_form_run_as_they_are(probe: dict[str, Any]) -> None:
    plain, other = make_head(), make_head(**probe)
    heads = StreamingHeads({"plain": plain.eval(), "other": other.eval()})
    assert heads.streaming_tasks == ("plain",)
    tokens = make_tokens(batch=1)
    for index, frame in enumerate(tokens[0]):
        heads.push(index, frame)
    logits = heads.logits()
    assert logits is not None
    torch.testing.assert_close(logits["other"], other(tokens)[0], atol=1e-5, rtol=1e-4)
    torch.testing.assert_close(logits["plain"], plain(tokens)[0], atol=1e-4, rtol=1e-4)
