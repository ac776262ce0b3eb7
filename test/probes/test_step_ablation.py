"""STEP's ablations: what each knows of order, that it learns, and that its folder comes back."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from torch import nn

from step_ros.probes import Head, StepAblation, StepOptions

from .small_heads import CLASSES, DIM, FRAMES, HEADS, PATCHES, make_head, make_tokens

ABLATIONS = [
    StepOptions(position="fixed"),
    StepOptions(position="hybrid"),
    StepOptions(position="none"),
    StepOptions(position_unit="token"),
    StepOptions(position="fixed", position_unit="token"),
    StepOptions(block="residual"),
    StepOptions(block="feed_forward"),
    StepOptions(pooled="cls"),
    StepOptions(pooled="patches"),
    StepOptions(global_cls=False),
]


@pytest.mark.parametrize("options", ABLATIONS, ids=str)
@torch.no_grad()
def test_ablations_feel_order_unless_they_have_no_embeddings(options: StepOptions) -> None:
    head, tokens = make_head(options=options), make_tokens()
    difference = (head(tokens) - head(tokens.flip(1))).abs().max()
    assert difference < 1e-4 if options.position == "none" else difference > 1e-3


@pytest.mark.parametrize("options", ABLATIONS, ids=str)
def test_ablations_learn_and_come_back_from_their_folder(options: StepOptions, tmp_path: Path) -> None:
    head, tokens = make_head(options=options), make_tokens()
    head(tokens).square().sum().backward()
    for name, parameter in head.named_parameters():
        assert parameter.grad is not None and parameter.grad.abs().max() > 0, name
    head.save_pretrained(tmp_path)
    loaded = Head.from_pretrained(tmp_path)
    assert loaded.config.probe.options == options
    with torch.no_grad():
        torch.testing.assert_close(loaded(tokens), head(tokens), atol=1e-5, rtol=1e-4)


@torch.no_grad()
def test_without_changes_an_ablation_is_step() -> None:
    probe = make_head().probe
    ablation = StepAblation(DIM, FRAMES, PATCHES, CLASSES, HEADS, StepOptions())
    weights = probe.state_dict()
    ablation.load_state_dict({**weights, "position": weights["position"][:, None]})
    torch.testing.assert_close(ablation(make_tokens()), probe(make_tokens()))


@torch.no_grad()
def test_residual_block_is_torchs_transformer_block_without_its_feed_forward() -> None:
    ablation = make_head(options=StepOptions(block="feed_forward")).probe
    assert isinstance(ablation, StepAblation) and ablation.cls is not None and ablation.position is not None
    block = nn.TransformerEncoderLayer(DIM, HEADS, 4 * DIM, 0.0, "gelu", batch_first=True, norm_first=True)
    state = ablation.state_dict()
    names = {"self_attn.in_proj_": "in_proj.", "self_attn.out_proj.": "out_proj.", "norm1.": "norm."}
    names |= {"norm2.": "feed_forward.0.", "linear1.": "feed_forward.1.", "linear2.": "feed_forward.3."}
    block.load_state_dict({a + end: state[b + end] for a, b in names.items() for end in ("weight", "bias")})
    tokens = make_tokens()
    sequence = torch.cat([ablation.cls.expand(2, 1, DIM), (tokens + ablation.position).flatten(1, 2)], dim=1)
    expected = ablation.classifier(block(sequence).mean(dim=1))
    torch.testing.assert_close(ablation(tokens), expected, atol=1e-5, rtol=1e-4)
