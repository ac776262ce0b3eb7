"""STEP's rivals and ablations: what each knows of order, how large it is, and that its folder comes back."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from step_ros.backbones import BackboneIdentity
from step_ros.frames import ClipSpec
from step_ros.probes import (
    PROBE_KINDS,
    AttentiveProbe,
    Head,
    HeadConfig,
    HeadError,
    LinearProbe,
    Probe,
    ProbeConfig,
    SelfAttentionProbe,
    StepAblation,
    StepOptions,
    StepProbe,
    StreamingHeads,
)

DIM, FRAMES, PATCHES, CLASSES, HEADS = 24, 5, 16, 4, 3
IDENTITY = BackboneIdentity("owner/tiny", (32, 32), PATCHES, DIM, "ab" * 32)
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


def make_head(seed: int = 0, **probe: Any) -> Head:
    torch.manual_seed(seed)
    return Head(
        HeadConfig(
            task="verb",
            labels=("open", "close", "push", "idle"),
            clip=ClipSpec(FRAMES, 1.0),
            probe=ProbeConfig(dim=DIM, num_heads=HEADS, **probe),
            backbone=IDENTITY,
        )
    )


def make_tokens(batch: int = 2) -> Tensor:
    return torch.randn(batch, FRAMES, PATCHES, DIM, generator=torch.Generator().manual_seed(1))


@pytest.mark.parametrize("kind", [kind for kind in PROBE_KINDS if kind != "step"])
@torch.no_grad()
def test_rivals_are_blind_to_order(kind: str) -> None:
    head, tokens = make_head(kind=kind), make_tokens()
    torch.testing.assert_close(head(tokens.flip(1)), head(tokens), atol=1e-5, rtol=1e-4)
    assert head(tokens).shape == (2, CLASSES)


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


@pytest.mark.parametrize(
    ("probe", "count"),
    [
        (LinearProbe(768, 16, 30), 23_070),
        (SelfAttentionProbe(768, 16, 30, 12), 2_385_438),
        (AttentiveProbe(768, 16, 30, 12), 7_111_710),
        (StepProbe(768, 16, 30, 12), 2_398_494),
        (StepAblation(768, 16, 256, 30, 12, StepOptions(block="residual")), 2_398_494 + 2 * 768),
        (StepAblation(768, 16, 256, 30, 12, StepOptions(position_unit="token")), 2_398_494 + 255 * 16 * 768),
    ],
    ids=lambda value: type(value).__name__ if isinstance(value, Probe) else str(value),
)
def test_parameter_counts_are_those_of_the_docstrings(probe: Probe, count: int) -> None:
    assert sum(parameter.numel() for parameter in probe.parameters()) == count


@torch.no_grad()
def test_pooled_tokens_are_means_of_neighbours() -> None:
    head = make_head(token_pooling=2, normalization="none")
    image = make_tokens().unflatten(2, (4, 4))
    expected = image.unflatten(3, (2, 2)).unflatten(2, (2, 2)).mean(dim=(3, 5)).flatten(2, 3)
    torch.testing.assert_close(head.prepare(make_tokens()), expected)
    places = torch.tensor([3, 1])
    patches = head.pooling.patches(places)
    torch.testing.assert_close(make_tokens()[:, :, patches].mean(3), expected[:, :, places])
    assert head(make_tokens()).shape == (2, CLASSES)


def test_pooling_that_does_not_fit_is_named() -> None:
    with pytest.raises(HeadError, match="token_pooling=3 does not divide the backbone's 4x4 patches"):
        make_head(token_pooling=3)


def test_options_belong_to_step() -> None:
    with pytest.raises(HeadError, match="options are STEP's, but probe.kind is 'linear'"):
        make_head(kind="linear", options=StepOptions(position="none"))
    with pytest.raises(ValueError, match="unknown position 'sinus'; known are learnable"):
        StepOptions(position="sinus")
    with pytest.raises(ValueError, match="needs the global CLS token"):
        StepOptions(pooled="cls", global_cls=False)


@pytest.mark.parametrize(
    "probe",
    [
        *({"kind": kind} for kind in PROBE_KINDS if kind not in ("step", "self_attention")),
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
