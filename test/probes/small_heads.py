"""A head of any kind, small enough to make for a test, and tokens for it."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from step_ros.backbones import BackboneIdentity
from step_ros.frames import ClipSpec
from step_ros.probes import Head, HeadConfig, ProbeConfig

DIM, FRAMES, PATCHES, CLASSES, HEADS = 24, 5, 16, 4, 3
IDENTITY = BackboneIdentity("owner/tiny", (32, 32), PATCHES, DIM, "ab" * 32)


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
