"""Token normalisation: what each kind does to the numbers."""

from __future__ import annotations

import pytest
import torch

from step_ros.probes import TokenNormalization


def make_tokens() -> torch.Tensor:
    torch.manual_seed(0)
    return torch.randn(2, 3, 4, 8) * 5 + 2


def test_none_leaves_tokens_alone() -> None:
    tokens = make_tokens()
    assert torch.equal(TokenNormalization("none", 8)(tokens), tokens)


def test_layer_norm_gives_each_token_zero_mean_and_unit_variance() -> None:
    normalization = TokenNormalization("layer_norm", 8)
    normalized = normalization(make_tokens())
    torch.testing.assert_close(normalized.mean(-1), torch.zeros(2, 3, 4), atol=1e-5, rtol=0)
    torch.testing.assert_close(normalized.var(-1, unbiased=False), torch.ones(2, 3, 4), atol=1e-3, rtol=0)
    assert not list(normalization.parameters()) and not normalization.state_dict()


def test_channel_uses_the_statistics_of_the_training_set_and_saves_them() -> None:
    tokens = make_tokens()
    flat = tokens.reshape(-1, 8)
    normalization = TokenNormalization("channel", 8)
    normalization.fit(flat.mean(0), flat.std(0))
    normalized = normalization(tokens).reshape(-1, 8)
    torch.testing.assert_close(normalized.mean(0), torch.zeros(8), atol=1e-5, rtol=0)
    torch.testing.assert_close(normalized.std(0), torch.ones(8), atol=1e-5, rtol=0)
    assert set(normalization.state_dict()) == {"mean", "std"}


def test_a_channel_that_never_varies_is_only_centred() -> None:
    normalization = TokenNormalization("channel", 2)
    normalization.fit(torch.tensor([1.0, 3.0]), torch.tensor([0.0, 2.0]))
    torch.testing.assert_close(normalization(torch.tensor([[1.0, 7.0]])), torch.tensor([[0.0, 2.0]]))


@pytest.mark.parametrize("kind", ["none", "layer_norm", "channel"])
def test_a_frame_normalised_alone_equals_the_frame_in_its_window(kind: str) -> None:
    tokens = make_tokens()
    normalization = TokenNormalization(kind, 8)
    torch.testing.assert_close(normalization(tokens)[:, 1], normalization(tokens[:, 1]))


def test_unknown_kind_lists_the_known_ones() -> None:
    with pytest.raises(ValueError, match="'batch'; known are none, layer_norm, channel"):
        TokenNormalization("batch", 8)


@pytest.mark.parametrize(
    ("kind", "mean", "std", "message"),
    [
        ("layer_norm", torch.zeros(2), torch.ones(2), "no statistics"),
        ("channel", torch.zeros(3), torch.ones(2), r"mean must have shape \(2,\), got \(3,\)"),
        ("channel", torch.tensor([0.0, float("nan")]), torch.ones(2), "not finite"),
        ("channel", torch.zeros(2), torch.tensor([1.0, -1.0]), "negative"),
    ],
)
def test_statistics_that_make_no_sense_are_refused(
    kind: str, mean: torch.Tensor, std: torch.Tensor, message: str
) -> None:
    with pytest.raises(ValueError, match=message):
        TokenNormalization(kind, 2).fit(mean, std)
