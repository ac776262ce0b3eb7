"""What an engine takes: a network that is frozen, and says who it is whatever becomes of it."""

from __future__ import annotations

from pathlib import Path

import torch

from step_ros.backbones import Backbone, Encoder


def test_an_encoder_is_frozen_however_its_network_was(vit_folder: Path) -> None:
    loaded = Backbone.from_pretrained(vit_folder).encoder
    loaded.tower.network.train().requires_grad_(True)
    encoder = Encoder.of(loaded.tower, loaded.preprocess, id="the same")
    assert not encoder.tower.network.training
    assert not any(weight.requires_grad for weight in encoder.tower.network.parameters())
    assert encoder.identity.same_tokens(loaded.identity)


def test_an_encoder_goes_where_its_backbone_goes_and_stays_who_it_is(vit_folder: Path) -> None:
    backbone = Backbone.from_pretrained(vit_folder)
    encoder, identity = backbone.encoder, backbone.identity
    backbone.to(torch.bfloat16)
    assert backbone.encoder is encoder and encoder.dtype == torch.bfloat16 and encoder.identity == identity


def test_pytorch_runs_a_narrow_encoder_and_says_so(vit_folder: Path) -> None:
    encoder = Backbone.from_pretrained(vit_folder, dtype=torch.bfloat16).encoder
    assert str(Backbone(encoder).engine) == "eager in bfloat16"
