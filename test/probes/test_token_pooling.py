"""Tokens that are pooled before the probe sees them."""

from __future__ import annotations

import pytest
import torch

from step_ros.probes import HeadError

from .small_heads import CLASSES, make_head, make_tokens


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
