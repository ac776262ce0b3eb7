"""Moments: what a window backwards changes, and what a still or a moving patch counts."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from step_ros.backbones import BackboneIdentity
from step_ros.probes import HeadConfig, HeadError, MomentsProbe, ProbeConfig
from step_ros.probes.moments import backwards, cells_of, temporal_basis

from .small_heads import DIM, FRAMES, make_head, make_tokens


def make_probe() -> MomentsProbe:
    probe = make_head(kind="moments").probe
    assert isinstance(probe, MomentsProbe)
    return probe


@torch.no_grad()
def test_moments_are_those_of_the_equations() -> None:
    tokens = make_tokens()
    e = tokens.double().numpy()
    s = np.linspace(-1, 1, FRAMES)
    basis = np.stack([s, np.sin(np.pi * s), np.ones(FRAMES), np.cos(np.pi * s)])
    basis /= np.linalg.norm(basis, axis=1, keepdims=True)
    change = np.linalg.norm(np.diff(e, axis=1), axis=-1).sum(1)
    share = change / change.sum(1, keepdims=True)
    expected = np.zeros((2, 4, 4, DIM))
    for patch in range(16):
        row, column = divmod(patch, 4)
        cell = row // 2 * 2 + column // 2
        expected[:, :, cell] += share[:, patch, None, None] * np.einsum("kt,btd->bkd", basis, e[:, :, patch])
    np.testing.assert_allclose(make_probe().moments(tokens), expected, atol=1e-5)


@torch.no_grad()
def test_a_window_backwards_has_the_same_moments_but_for_the_sign_of_the_odd_ones() -> None:
    probe, tokens = make_probe(), make_tokens()
    torch.testing.assert_close(probe.moments(tokens.flip(1)), backwards(probe.moments(tokens)))


@torch.no_grad()
def test_what_stands_still_counts_nothing_beside_what_moves() -> None:
    probe, tokens = make_probe(), make_tokens()
    tokens[:, :, 1:] = tokens[:, :1, 1:]  # only patch 0 changes
    moments = probe.moments(tokens)
    expected = probe.basis @ tokens[:, :, 0]
    torch.testing.assert_close(moments[:, :, 0], expected, atol=1e-4, rtol=1e-4)
    assert float(moments[:, :, 1:].abs().max()) < 1e-4


@torch.no_grad()
def test_a_still_window_is_pooled_evenly() -> None:
    probe, still = make_probe(), make_tokens()[:, :1].expand(-1, FRAMES, -1, -1)
    moments = probe.moments(still)
    assert float(moments[:, :2].abs().max()) < 1e-5  # nothing went either way
    torch.testing.assert_close(moments[:, 2].sum(1), still[:, 0].mean(1) * FRAMES**0.5)


@pytest.mark.parametrize("num_frames", [2, 3, 16])
def test_the_functions_are_odd_or_even_and_of_unit_length(num_frames: int) -> None:
    basis = temporal_basis(num_frames)
    torch.testing.assert_close(basis.norm(dim=1)[[0, 2, 3]], torch.ones(3))
    assert torch.equal(basis[:2].flip(1), -basis[:2]) and torch.allclose(basis[2:].flip(1), basis[2:])


def test_every_patch_lies_in_one_cell() -> None:
    cells = cells_of((3, 5))
    assert cells.shape == (4, 15) and torch.equal(cells.sum(0), torch.ones(15))
    assert cells.sum(1).tolist() == [6, 4, 3, 2]


def test_sizes_that_make_no_moments_are_refused() -> None:
    with pytest.raises(ValueError, match="at least 2 frames and 2x2 patches, got 1 frames of 4x4"):
        MomentsProbe(DIM, 1, (4, 4), 3)
    with pytest.raises(ValueError, match="those of 16 patches, got 15"):
        make_probe()(make_tokens()[:, :, 1:])
    config = make_head().config
    with pytest.raises(HeadError, match="is not made of 5 square patches"):
        HeadConfig(
            *(config.task, config.labels, config.clip, ProbeConfig(DIM, 3, kind="moments")),
            BackboneIdentity("owner/tiny", (32, 32), 5, DIM, "ab" * 32),
        )
