"""A tower for one size of images gives the tokens of one for any."""

from __future__ import annotations

import numpy as np
import torch

from step_ros.backbones import Backbone
from step_ros.backbones.engines.fixed_size import FixedSizeTower


def test_positions_that_are_settled_once_are_those_of_every_frame(backbone: Backbone) -> None:
    frames = np.random.default_rng(2).integers(0, 256, (2, 48, 80, 3), dtype=np.uint8)
    module = FixedSizeTower(backbone.encoder, torch.float32)
    with torch.no_grad():
        tokens = module(backbone.preprocess(torch.from_numpy(frames)))
    torch.testing.assert_close(tokens, backbone.encode(frames), rtol=1e-5, atol=1e-5)
    assert module.network is not backbone.network
