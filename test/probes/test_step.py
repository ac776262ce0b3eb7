"""STEP against a computation written out in loops, and what it does and does not know about order."""

from __future__ import annotations

import math

import pytest
import torch
from torch import Tensor, nn

from step_ros.probes import StepProbe

DIM, FRAMES, PATCHES, CLASSES, HEADS = 24, 5, 7, 4, 3


def make_probe(seed: int = 0) -> StepProbe:
    """A small probe in which no parameter is left at zero."""
    torch.manual_seed(seed)
    probe = StepProbe(DIM, FRAMES, CLASSES, HEADS).double()
    with torch.no_grad():
        probe.in_proj.bias.normal_()
        probe.out_proj.bias.normal_()
    return probe


def make_tokens(batch: int = 2, seed: int = 1) -> Tensor:
    return torch.randn(
        batch, FRAMES, PATCHES, DIM, dtype=torch.float64, generator=torch.Generator().manual_seed(seed)
    )


def step_by_loops(probe: StepProbe, clip: Tensor) -> Tensor:
    """Logits (K,) of one clip (T, P, D), token by token and head by head, straight from the paper's text."""
    tokens = [probe.cls]
    for t in range(FRAMES):
        for p in range(PATCHES):
            tokens.append(clip[t, p] + probe.position[t])
    weight_q, weight_k, weight_v = probe.in_proj.weight.split(DIM)
    bias_q, bias_k, bias_v = probe.in_proj.bias.split(DIM)
    queries = [weight_q @ x + bias_q for x in tokens]
    keys = [weight_k @ x + bias_k for x in tokens]
    values = [weight_v @ x + bias_v for x in tokens]
    size = DIM // HEADS
    total = torch.zeros(DIM, dtype=clip.dtype)
    for query in queries:
        parts = []
        for h in range(HEADS):
            part = slice(h * size, (h + 1) * size)
            scores = [float(query[part] @ key[part]) / math.sqrt(size) for key in keys]
            exponentials = [math.exp(score - max(scores)) for score in scores]
            attended = torch.zeros(size, dtype=clip.dtype)
            for exponential, value in zip(exponentials, values, strict=True):
                attended += exponential / sum(exponentials) * value[part]
            parts.append(attended)
        total += probe.out_proj.weight @ torch.cat(parts) + probe.out_proj.bias
    pooled = total / len(tokens)
    return probe.classifier.weight @ pooled + probe.classifier.bias


@torch.no_grad()
def test_equals_the_computation_written_out_in_loops() -> None:
    probe, tokens = make_probe(), make_tokens()
    expected = torch.stack([step_by_loops(probe, clip) for clip in tokens])
    torch.testing.assert_close(probe(tokens), expected, rtol=1e-10, atol=1e-10)


def test_training_computes_the_same_as_inference() -> None:
    """Two ways to the same mean: over attention weights with gradients, over outputs without."""
    probe, tokens = make_probe(), make_tokens()
    training = probe(tokens)
    with torch.no_grad():
        torch.testing.assert_close(training, probe(tokens), rtol=1e-10, atol=1e-10)


@torch.no_grad()
def test_equals_torch_multihead_attention_with_the_same_weights() -> None:
    probe, tokens = make_probe(), make_tokens()
    attention = nn.MultiheadAttention(DIM, HEADS, batch_first=True).double()
    attention.load_state_dict(
        {
            "in_proj_weight": probe.in_proj.weight,
            "in_proj_bias": probe.in_proj.bias,
            "out_proj.weight": probe.out_proj.weight,
            "out_proj.bias": probe.out_proj.bias,
        }
    )
    embeddings = (tokens + probe.position[None, :, None]).reshape(2, FRAMES * PATCHES, DIM)
    embeddings = torch.cat([probe.cls.expand(2, 1, DIM), embeddings], dim=1)
    attended, _ = attention(embeddings, embeddings, embeddings)
    torch.testing.assert_close(probe(tokens), probe.classifier(attended.mean(dim=1)))


@torch.no_grad()
def test_without_temporal_embeddings_the_order_of_frames_is_invisible() -> None:
    probe, tokens = make_probe(), make_tokens()
    probe.position.zero_()
    expected = probe(tokens)
    for order in (torch.arange(FRAMES).flip(0), torch.tensor([2, 0, 4, 1, 3])):
        torch.testing.assert_close(probe(tokens[:, order]), expected, rtol=1e-12, atol=1e-12)


@torch.no_grad()
def test_with_temporal_embeddings_a_reversed_clip_is_another_clip() -> None:
    probe, tokens = make_probe(), make_tokens()
    assert (probe(tokens) - probe(tokens.flip(1))).abs().max() > 1e-3


@torch.no_grad()
def test_patches_within_a_frame_have_no_order() -> None:
    """The temporal embedding is a frame's, not a patch's."""
    probe, tokens = make_probe(), make_tokens()
    torch.testing.assert_close(probe(tokens.flip(2)), probe(tokens), rtol=1e-12, atol=1e-12)


def test_parameter_count_beside_the_published_one() -> None:
    """2.40 M for ViT-B (D = 768, T = 16, 12 heads, 30 classes); table I of the paper says 2.6 M.

    The paper's text accounts for the attention (4·D² + 4·D = 2.362 M), T·D of temporal embeddings (0.012 M),
    the CLS token (0.001 M) and the classifier (0.023 M). It gives 2.6 M to plain self-attention probing as
    well, so the other 0.2 M belongs to nothing that STEP adds; the text does not say to what.
    """
    probe = StepProbe(dim=768, num_frames=16, num_classes=30, num_heads=12)
    count = sum(parameter.numel() for parameter in probe.parameters())
    print(f"STEP, D=768, T=16, K=30: {count / 1e6:.3f} M parameters (published: 2.6 M)")
    assert count == (4 * 768**2 + 4 * 768) + 16 * 768 + 768 + 30 * 769


def test_every_parameter_learns() -> None:
    probe = make_probe()
    probe(make_tokens()).square().sum().backward()
    for name, parameter in probe.named_parameters():
        assert parameter.grad is not None and parameter.grad.abs().max() > 0, name


def test_temporal_embeddings_start_at_the_scale_of_the_tokens() -> None:
    torch.manual_seed(0)
    assert StepProbe(64, 64, 2, 1).position.std().item() == pytest.approx(1.0, rel=0.1)
    assert StepProbe(64, 64, 2, 1, position_std=0.02).position.std().item() == pytest.approx(0.02, rel=0.1)


@pytest.mark.parametrize(
    ("sizes", "message"),
    [
        ((0, 5, 4, 1), "dim must be at least 1, got 0"),
        ((24, 0, 4, 3), "num_frames must be at least 1, got 0"),
        ((24, 5, 0, 3), "num_classes must be at least 1, got 0"),
        ((24, 5, 4, 5), "num_heads=5 and dim=24"),
        ((24, 5, 4, 0), "num_heads=0 and dim=24"),
    ],
)
def test_impossible_sizes_are_named(sizes: tuple[int, int, int, int], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        StepProbe(*sizes)


@pytest.mark.parametrize(
    "shape", [(FRAMES, PATCHES, DIM), (1, FRAMES + 1, PATCHES, DIM), (1, FRAMES, PATCHES, DIM + 1)]
)
def test_tokens_of_another_shape_are_refused(shape: tuple[int, ...]) -> None:
    with pytest.raises(ValueError, match=r"tokens must be \(B, T=5, P, D=24\), got"):
        make_probe()(torch.zeros(shape, dtype=torch.float64))
