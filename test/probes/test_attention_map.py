"""The pooled attention is what the answer is made of."""

from __future__ import annotations

import pytest
import torch

from step_ros.backbones import BackboneIdentity
from step_ros.frames import ClipSpec
from step_ros.probes import Head, HeadConfig, ProbeConfig
from step_ros.probes.attention_map import attention_map

T, P, D = 5, 6, 16


@pytest.fixture
def head() -> Head:
    torch.manual_seed(0)
    identity = BackboneIdentity(id="x", image_size=(32, 32), num_patches=P, dim=D, sha256="0" * 64)
    config = HeadConfig(
        task="action",
        labels=("open", "close", "idle"),
        clip=ClipSpec(T, 1.0),
        probe=ProbeConfig(dim=D, num_heads=4),
        backbone=identity,
    )
    return Head(config).eval()


def test_the_embedding_is_what_the_classifier_sees(head: Head) -> None:
    tokens = torch.randn(3, T, P, D)
    pooled = attention_map(head, tokens)
    with torch.inference_mode():
        torch.testing.assert_close(head.probe.classifier(pooled.embedding), head(tokens))


def test_weights_are_shares(head: Head) -> None:
    weights = attention_map(head, torch.randn(3, T, P, D)).weights
    assert weights.shape == (3, T, P)
    assert (weights > 0).all()
    assert (weights.sum((1, 2)) < 1).all()  # the rest is the global CLS token's


def test_a_token_that_all_queries_match_gets_the_weight(head: Head) -> None:
    with torch.no_grad():
        head.probe.position.zero_()
        head.probe.in_proj.weight[D : 2 * D] = torch.eye(D)  # keys are the tokens themselves
        head.probe.in_proj.weight[:D].zero_()
        head.probe.in_proj.bias[:D] = torch.arange(D) - D / 2  # all queries ask for the same
    tokens = torch.randn(1, T, P, D)
    tokens[0, 2, 3] = torch.arange(D).float()
    weights = attention_map(head, tokens).weights[0]
    assert weights.argmax() == 2 * P + 3


def test_shapes_are_checked(head: Head) -> None:
    with pytest.raises(ValueError, match="tokens must be"):
        attention_map(head, torch.randn(T, P, D))
