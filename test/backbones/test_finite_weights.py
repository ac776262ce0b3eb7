"""Which tensors hold what is no number."""

from __future__ import annotations

import math

import torch

from step_ros.backbones.finite_weights import not_finite


def test_only_what_is_no_number_is_named() -> None:
    large = torch.full((16,), 3e38)  # numbers, whose sum is none
    broken = torch.zeros(16)
    broken[3] = math.nan
    assert not_finite({"large": large, "broken": broken, "infinite": large * 2}.items()) == [
        "broken",
        "infinite",
    ]
